//go:build alerts

package alerts

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

const (
	// stretch is how many scrapes must have gone well, for the silence of the alerts to tell something.
	stretch = 20
	// patience is how long an alert may take to fire, or to be silent; a passing run takes a fraction of it.
	patience = 8 * time.Minute
	// A machine on which the bridges take longer than usual to start gets slow scrapes, and alerts that take longer.
	usual       = 15 * time.Second
	quick, slow = 1, 6 // seconds for a minute
	look        = 500 * time.Millisecond
)

// TestEachAlertFiresWhenItsConditionIsThereAndNotBefore runs a bridge for each kind of trouble and one that has none, all under load. Nothing fires as long
// as all is well; then the trouble is caused, each alert fires where it should, and none where there is no trouble. The dashboard shows something in each
// panel.
func TestEachAlertFiresWhenItsConditionIsThereAndNotBefore(t *testing.T) {
	began, pace := time.Now(), quick
	worlds := build(t)
	if time.Since(began) > usual {
		pace = slow
	}
	p := startPrometheus(t, pace)
	ctx, stop := context.WithCancel(context.Background())
	var living sync.WaitGroup
	defer living.Wait()
	defer stop()
	for _, w := range worlds {
		living.Go(func() { w.live(ctx) })
	}
	p.watch(addresses(worlds))
	calm(t, p, `job=~".+"`)

	worlds["two"].cfg.NATS.Embedded.StoreDir = t.TempDir() // another bus, by mistake
	worlds["two"].add()
	p.watch(addresses(worlds))
	for name, cause := range once {
		cause(worlds[name])
	}
	for name, cause := range steadily {
		living.Go(func() { repeat(ctx, func() { cause(worlds[name]) }) })
	}
	for name := range unfired(t, p) {
		t.Errorf("%s did not fire for %s", name, expected[name])
	}
	checkDashboard(t, p)
	calm(t, p, `job="cxbridge-calm"`)
}

// build starts all bridges.
func build(t *testing.T) map[string]*world {
	t.Helper()
	worlds := map[string]*world{}
	for name, b := range map[string]struct {
		opt    cxsim.Options
		change func(*world)
	}{
		"calm": {change: (*world).external},
		"down": {change: func(*world) {}},
		"bus": {change: func(w *world) {
			w.external()
			w.cfg.Spool.MaxBytes, w.cfg.Commands.LeaseTTL = 1<<20, 5*time.Second
		}},
		"api": {change: func(w *world) { w.cfg.Commands.MaxPending, w.cfg.Commands.MaxInFlight = 100, 16 }},
		"failing": {change: func(w *world) {
			w.cfg.Commands.RetryFor, w.cfg.Commands.EchoWait = time.Second, time.Second
		}},
		"limits": {change: func(*world) {}},
		"two":    {change: func(*world) {}},
		"disk":   {change: func(w *world) { w.cfg.NATS.Embedded.MaxStoreBytes = 64 << 20 }},
		"token": {opt: cxsim.Options{TokenLifetime: 20 * time.Second}, change: func(w *world) {
			w.withCertificate()
			w.cfg.CX.AccessToken, w.cfg.CX.OAuth.TokenURL = "", w.sim.TokenURL()
			w.cfg.CX.OAuth.ClientID, w.cfg.CX.OAuth.ClientSecret = cxsim.DefaultClientID, cxsim.DefaultClientSecret
		}},
	} {
		worlds[name] = newWorld(t, name, b.opt, b.change)
	}
	return worlds
}

// once is the trouble that is caused once and lasts.
var once = map[string]func(*world){
	"down": func(w *world) { w.first() },
	"bus":  func(w *world) { w.bus.Stop() },
	"api":  func(w *world) { w.sim.Fault(cxsim.Fault{Effect: cxsim.EffectStatus, Status: 503}) },
	"failing": func(w *world) {
		w.sim.Fault(cxsim.Fault{Conversation: w.ids[0], Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: 503})
		w.sim.Fault(cxsim.Fault{Conversation: w.ids[1], Op: cxsim.OpSendMessage, Effect: cxsim.EffectLost})
		w.sim.Fault(cxsim.Fault{Conversation: w.ids[1], Op: cxsim.OpDelivery, Effect: cxsim.EffectDrop})
		w.sim.Fault(cxsim.Fault{Conversation: w.ids[2], Op: cxsim.OpSendMessage, Effect: cxsim.EffectUnauthorized})
	},
	"limits": func(w *world) { w.sim.Fault(cxsim.Fault{Effect: cxsim.EffectStatus, Status: 429}) },
	"two": func(w *world) {
		if _, err := w.js.Conn().Request("cx.rpc.bridge.pause", []byte(`{"by":"test"}`), patience); err != nil {
			w.t.Error(err)
		}
	},
	"disk": func(w *world) {
		for range 56 {
			if _, err := w.js.Publish(w.t.Context(), "cx.message.created", make([]byte, 1<<20)); err != nil {
				w.t.Error(err)
				return
			}
		}
	},
	"token": func(w *world) {
		w.sim.Fault(noToken)
		w.certify(w.cfg.Webhook.TLS.CertFile, w.cfg.Webhook.TLS.KeyFile, 24*time.Hour)
	},
}

var noToken = cxsim.Fault{Op: cxsim.OpToken, Effect: cxsim.EffectStatus, Status: 500}

// steadily is the trouble that goes on happening.
var steadily = map[string]func(*world){
	"bus": func(w *world) { w.post(pathToken, w.message(w.ids[0], "contact", strings.Repeat("x", 100<<10))) },
	"api": func(w *world) {
		for range 20 {
			for _, id := range w.ids {
				w.send(id)
			}
		}
	},
	"failing": func(w *world) {
		for range 5 {
			w.post("wrong-path-token-0123456789", w.message(w.ids[0], "contact", "hello"))
			w.post(pathToken, w.message(w.ids[7], "agent_bot", "hello, bot"))
			_, _ = w.js.PublishAsync("cx.cmd.message.send", []byte(`{}`)) // it is malformed; nobody waits for it
		}
		for _, id := range w.ids[:3] {
			w.send(id)
		}
	},
	"token": func(w *world) { // one that has expired does not expire any more, so there is another one from time to time
		switch look := w.looks.Add(1) % 100; {
		case look == 80:
			w.sim.ClearFaults()
		case look == 99:
			w.sim.Fault(noToken)
		}
	},
}

func repeat(ctx context.Context, do func()) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func addresses(worlds map[string]*world) map[string][]string {
	all := map[string][]string{}
	for name, w := range worlds {
		for _, b := range w.bridges {
			all[name] = append(all[name], b.AdminAddr().String())
		}
	}
	return all
}

// calm waits until no alert has fired for a stretch in which every scrape succeeded.
func calm(t *testing.T, p *server, where string) {
	t.Helper()
	told, last := "", fmt.Sprintf("%ds", stretch*p.pace)
	for deadline := time.Now().Add(patience); ; pause(t) {
		failed, err := p.query(fmt.Sprintf(`min_over_time(up{%s}[%s]) == 0 or count_over_time(up{%s}[%s]) < 15 or absent(up{%s})`, where, last, where, last, where))
		firing, other := p.query(fmt.Sprintf(`max_over_time(ALERTS{alertstate="firing",%s}[%s])`, where, last))
		if err == nil && other == nil && len(failed) == 0 && len(firing) == 0 {
			return
		}
		told = fmt.Sprint("scrapes: ", failed, err, "\nalerts: ", firing, other)
		if time.Now().After(deadline) {
			t.Fatalf("it does not get calm\n%s", told)
		}
	}
}

// unfired waits until each alert has fired where it is expected, and returns those that have not.
func unfired(t *testing.T, p *server) map[string]string {
	t.Helper()
	left, began := maps.Clone(expected), time.Now()
	for deadline := began.Add(patience); len(left) > 0 && time.Now().Before(deadline); pause(t) {
		now, err := p.alerts()
		if err != nil {
			t.Log(err)
		}
		for _, a := range now {
			name := a.Labels["alertname"]
			if a.State == "firing" && left[name] != "" && a.Labels["job"] == "cxbridge-"+left[name] {
				t.Logf("%s fires for %s after %s (%s)", name, left[name], time.Since(began).Round(time.Second), a.Value)
				delete(left, name)
			}
		}
	}
	return left
}

func pause(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(look)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
