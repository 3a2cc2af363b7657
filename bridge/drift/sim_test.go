package drift_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// TestTheEventsOfEachPlatformAreKnown lets the simulator play each version of the platform, and finds no drift in what it sends.
func TestTheEventsOfEachPlatformAreKnown(t *testing.T) {
	for _, profile := range cxsim.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			bodies := life(t, profile)
			watch(t, func(w *watching) {
				names := map[string]bool{}
				for _, body := range bodies {
					var e struct{ Event string }
					if err := json.Unmarshal(body, &e); err != nil {
						w.t.Fatal(err)
					}
					names[e.Event] = true
					w.offer(e.Event, string(body))
				}
				w.wants()
				if len(names) < 8 || w.Report().Examined != uint64(len(bodies)) {
					w.t.Errorf("%d of %d events looked at, of %v", w.Report().Examined, len(bodies), names)
				}
			})
		})
	}
}

// life returns the events of a conversation in which everything happens that can.
func life(t *testing.T, profile cxsim.Profile) [][]byte {
	t.Helper()
	var mu sync.Mutex
	var bodies [][]byte
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, body)
	}))
	defer hook.Close()
	sim := cxsim.New(cxsim.Options{Profile: profile})
	defer sim.Close()
	sim.Subscribe(hook.URL, profile.Subscriptions()...)
	sim.AttachBot(sim.InboxID(cxsim.ChannelWebWidget), "bot", hook.URL)
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	for _, say := range []func(int64, string) (cxsim.Message, error){sim.CustomerSays, sim.AgentSays, sim.AgentNotes, sim.SystemSays} {
		if _, err := say(c.ID, "text"); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		sim.EditMessage(c.ID, c.Messages[0].ID, "hi!"), sim.CustomerTypes(c.ID, true), sim.AgentPicksUp(c.ID), sim.AgentReturns(c.ID), sim.AgentResolves(c.ID),
		sim.WaitIdle(t.Context()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(bodies)
}
