package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       int
	}{
		{"allowed", "192.0.2.7:1", nil, 200},
		{"allowed address", "198.51.100.1:1", nil, 200},
		{"allowed, mapped", "[::ffff:192.0.2.7]:1", nil, 200},
		{"allowed, v6", "[2001:db8::1]:1", nil, 200},
		{"not allowed", "203.0.113.1:1", nil, 403},
		{"not allowed, and claims to be", "203.0.113.1:1", []string{"192.0.2.7"}, 403},
		{"through a proxy", "10.0.0.1:1", []string{"192.0.2.7"}, 200},
		{"through a proxy, with a port", "10.0.0.1:1", []string{"192.0.2.7:99"}, 200},
		{"through a proxy, v6", "10.0.0.1:1", []string{"[2001:db8::1]"}, 200},
		{"through two proxies", "10.0.0.1:1", []string{"192.0.2.7, 10.0.0.2"}, 200},
		{"through two proxies, two headers", "10.0.0.1:1", []string{"192.0.2.7", "10.0.0.2"}, 200},
		{"through a proxy, not allowed", "10.0.0.1:1", []string{"203.0.113.1"}, 403},
		{"through a proxy, with a made-up part", "10.0.0.1:1", []string{"192.0.2.7, 203.0.113.1"}, 403},
		{"through a proxy that tells nothing", "10.0.0.1:1", nil, 403},
		{"through a proxy that tells rubbish", "10.0.0.1:1", []string{"192.0.2.7, unknown"}, 403},
		{"no address", "pipe", nil, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := setup(t, func(c *Config, _ *Deps) {
				c.AllowNetworks = []string{"192.0.2.0/24", "198.51.100.1", "2001:db8::/32"}
				c.TrustedProxies = []string{"10.0.0.0/8"}
			})
			req := httptest.NewRequest(http.MethodPost, Path+token, strings.NewReader(incoming))
			req.RemoteAddr = test.peer
			req.Header["X-Forwarded-For"] = test.forwarded
			w := httptest.NewRecorder()
			h.Handler().ServeHTTP(w, req)
			if w.Code != test.want {
				t.Errorf("answer %d, want %d", w.Code, test.want)
			}
		})
	}
}
