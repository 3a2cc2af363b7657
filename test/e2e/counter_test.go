//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// counter stands before the simulated platform: it answers, or leaves unanswered, calls of scenarios, and keeps their events back.
type counter struct {
	sim    *cxsim.Sim
	server *httptest.Server

	mu       sync.Mutex
	cases    map[string]*scenario // by id
	spoken   map[int64]*scenario  // by conversation
	pins     map[string]*pin      // of calls, by id
	calls    map[string]int
	webhook  string          // of the bridge that is alive
	received map[string]bool // bodies of events that a bridge took
}

func startCounter(t *testing.T, sim *cxsim.Sim, all []*scenario) *counter {
	t.Helper()
	c := &counter{sim: sim, cases: map[string]*scenario{}, spoken: map[int64]*scenario{}, calls: map[string]int{}, received: map[string]bool{}}
	for _, s := range all {
		c.cases[s.id], c.spoken[s.conversation] = s, s
	}
	mux := http.NewServeMux()
	mux.HandleFunc(cxsim.Root, c.call)
	mux.HandleFunc("/webhooks/", c.event)
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	return c
}

// set pins calls, and lets go all that were pinned before; events go to a bridge from now on.
func (c *counter) set(pins map[string]*pin, b *bridge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pins, c.webhook = pins, "http://"+b.webhook
}

var ofCase = regexp.MustCompile(`"(c\d\d\d)[ @]`)

// of tells the scenario of a call, nil if it is of a command that follows.
func (c *counter) of(path string, body []byte) *scenario {
	if strings.Contains(path, "/deliver-to-agent/") || strings.Contains(path, "/finish/") {
		var asked struct {
			ConversationID int64 `json:"conversation_id"`
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			return nil
		}
		return c.spoken[asked.ConversationID]
	}
	found := ofCase.FindSubmatch(body)
	if found == nil || bytes.Contains(body, []byte(` next"`)) || bytes.Contains(body, []byte(` last"`)) {
		return nil
	}
	return c.cases[string(found[1])]
}

func (c *counter) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the bridge is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	status, p := c.decide(c.of(r.URL.Path, body))
	switch {
	case p != nil && p.after:
		c.sim.Handler().ServeHTTP(httptest.NewRecorder(), r)
		fallthrough
	case p != nil:
		p.reach()
		<-r.Context().Done()
	case status != 0:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":"so it is"}`) // the bridge may be gone
	default:
		c.sim.Handler().ServeHTTP(w, r)
	}
}

// decide counts a call of a scenario. It returns the status to be answered, or the pin that holds it; neither lets it pass.
func (c *counter) decide(s *scenario) (status int, held *pin) {
	if s == nil {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.calls[s.id]
	c.calls[s.id]++
	if p := c.pins[s.id]; p != nil && (p.step == "call" && n == 0 || p.step == "call again" && n == 1) {
		return 0, p
	}
	if n < len(s.answers) {
		return s.answers[n], nil
	}
	return 0, nil
}

// event passes a webhook on to the bridge, unless the platform does not tell of it.
func (c *counter) event(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	to, silent := c.webhook, false
	if found := ofCase.FindSubmatch(body); found != nil {
		silent = !c.cases[string(found[1])].echo
	}
	c.mu.Unlock()
	if silent {
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, to+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway) // it is sent again
		return
	}
	_ = res.Body.Close() // nothing of it is read
	if res.StatusCode == http.StatusOK {
		c.mu.Lock()
		c.received[string(body)] = true
		c.mu.Unlock()
	}
	w.WriteHeader(res.StatusCode)
}

// taken is how many events a bridge took.
func (c *counter) taken() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.received)
}
