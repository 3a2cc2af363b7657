package bridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Fault is one thing that keeps a bridge from being ready.
type Fault struct {
	Check   string `json:"check"`   // bus, streams, commands, spool or webhook
	Problem string `json:"problem"` // what is wrong
}

// check proves that one part works, by using it.
type check struct {
	name string
	run  func(context.Context) error
}

const (
	readyFresh = time.Second           // how long an answer is given again
	readyPoll  = 50 * time.Millisecond // between two looks while starting
	readyLimit = 3 * time.Second       // for all checks together
	noStore    = "no-store"
)

// readiness proves that all parts work, at most once in readyFresh however often it is asked.
type readiness struct {
	checks  []check
	remarks func() []string // what else there is to know; nil for nothing
	log     *slog.Logger    // nil: changes are not told

	turn   sync.Mutex // held while proving, so that others wait for the same answer
	at     time.Time
	faults []Fault
	ready  bool // as it was told
}

// prove returns what is wrong, as it was at most fresh ago; nothing is wrong if the list is empty.
func (r *readiness) prove(ctx context.Context, fresh time.Duration) []Fault {
	r.turn.Lock()
	defer r.turn.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < fresh {
		return r.faults
	}
	// Whoever asked may hang up meanwhile; the answer is for all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyLimit)
	defer cancel()
	found := make([]error, len(r.checks))
	var wait sync.WaitGroup
	for i, c := range r.checks {
		wait.Go(func() { found[i] = c.run(ctx) })
	}
	wait.Wait()
	r.faults = []Fault{}
	for i, err := range found {
		if err != nil {
			r.faults = append(r.faults, Fault{Check: r.checks[i].name, Problem: err.Error()})
		}
	}
	r.at = time.Now()
	r.tell()
	return r.faults
}

// tell logs that the bridge has become ready, or is not any more. The caller holds turn.
func (r *readiness) tell() {
	ready := len(r.faults) == 0
	if r.log == nil || ready == r.ready {
		return
	}
	r.ready = ready
	if ready {
		r.log.Info("ready")
		return
	}
	names := make([]string, 0, len(r.faults))
	for _, f := range r.faults {
		names = append(names, f.Check)
	}
	r.log.Warn("not ready any more", "problems", names)
}

// serve answers 200 and an object only if nothing is wrong, else 503 and a list of what is. Strangers, of whom detail is false, are told no more
// than that: their list is empty.
func (r *readiness) serve(detail func(*http.Request) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		faults := r.prove(req.Context(), readyFresh)
		told := detail(req)
		if len(faults) > 0 {
			if !told {
				faults = []Fault{}
			}
			writeJSON(w, http.StatusServiceUnavailable, faults)
			return
		}
		answer := struct {
			Ready   bool     `json:"ready"`
			Remarks []string `json:"remarks,omitempty"`
		}{Ready: true}
		if told && r.remarks != nil {
			answer.Remarks = r.remarks()
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", noStore)
	w.WriteHeader(status)
	// Whoever asked has hung up if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
