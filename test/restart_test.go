package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// entrance is the public address of whichever bridge runs at the moment: what a proxy is in front of a bridge that is restarted.
type entrance struct{ bridge atomic.Pointer[running] }

func (e *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := e.bridge.Load()
	if to == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to.WebhookAddr().String()})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ServeHTTP(w, r)
}

// TestNothingIsDoneTwiceOrOutOfOrderWhenCallsAreCutByRestarts stops the bridge again and again with a grace that is far too short, so that
// calls are cut, before or after they are carried out.
func TestNothingIsDoneTwiceOrOutOfOrderWhenCallsAreCutByRestarts(t *testing.T) {
	t.Parallel()
	const conversations, each, lives = 10, 20, 4
	w := newWorld(t, cxsim.Options{Seed: 6}, func(c *bridge.Config) {
		c.Grace, c.CX.Timeout, c.Commands.EchoWait = 20*time.Millisecond, 5*time.Second, 5*time.Second
	})
	door := &entrance{}
	public := httptest.NewServer(door)
	t.Cleanup(func() { w.sim.Close(); public.Close() })
	w.sim.Subscribe(public.URL+"/webhooks/"+pathToken, "message_created")
	for _, f := range []cxsim.Fault{
		{Effect: cxsim.EffectHang, Probability: 0.03}, {Effect: cxsim.EffectLost, Probability: 0.05}, {Effect: cxsim.EffectDelay, Delay: 2 * time.Millisecond},
	} {
		f.Op = cxsim.OpSendMessage
		w.sim.Fault(f)
	}
	start := func() *running {
		r := w.begin()
		door.bridge.Store(r)
		return r
	}
	r := start()
	ids := w.storm(r.bot(), conversations, each)
	for life := 1; life < lives; life++ {
		// Sooner or later every conversation waits for a call that hangs.
		w.called("some work", func(j cxsim.Journal) bool { return len(j) >= life*conversations*2 })
		door.bridge.Store(nil)
		r.stop()
		r = start()
	}
	w.sim.ClearFaults()
	door.bridge.Store(nil)
	r.stop() // with it ends every call that hangs
	b := start().bot()
	natstest.Eventually(t, "all results", func() bool { return b.count("CX_RESULTS") >= conversations*each })
	b.oneResultEach(conversations * each)
	status := map[string]string{}
	for _, m := range b.stored("CX_RESULTS") {
		status[m.Header.Get("Cx-Command-Id")] = m.Header.Get("Cx-Status")
	}
	unknown := 0
	for _, id := range ids {
		var want []string
		sent := w.sim.Journal().Messages(id).Contents()
		for n := range each {
			text := fmt.Sprintf("text %d", n)
			switch how := status[fmt.Sprintf("%d-%d", id, n)]; how {
			case "done":
			case "unknown":
				// Its call was about to be made when the grace was over, or was made, and its event was late.
				unknown++
				if !slices.Contains(sent, text) {
					continue
				}
			default:
				t.Errorf("conversation %d, %s: %q", id, text, how)
			}
			want = append(want, text)
		}
		w.wantMessages(id, want...)
	}
	b.letters(unknown)
}
