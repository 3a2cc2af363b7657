//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// points is a bridge that is killed when each of many commands has come to its point, and again, and what is around it.
type points struct {
	all     []*scenario
	sim     *cxsim.Sim
	counter *counter
	wire    *wire
	js      jetstream.JetStream
	bridge  *bridge
	total   int // commands that were published
}

// Nothing ends by itself while a bridge stands still, and the next one finds all echoes at its first look: neither is a matter of time.
const standsStill = "[commands]\nlease_ttl = \"20m\"\necho_wait = \"1s\"\nretry_initial = \"50ms\"\n"

func startPoints(t *testing.T) *points {
	t.Helper()
	n := &natsServer{port: freePort(t), store: t.TempDir(), env: []string{"SYNC=default"}} // no server dies here
	n.restart(t)
	p := &points{all: scenarios(), sim: cxsim.New(cxsim.Options{WebhookAttempts: -1, RetryWait: 200 * time.Millisecond, MessagesPerMinute: -1})}
	t.Cleanup(p.sim.Close)
	for _, s := range p.all {
		c, err := p.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: s.id + "@example.test", InboxID: p.sim.InboxID(cxsim.ChannelAPI)})
		if err != nil {
			t.Fatal(err)
		}
		s.conversation, s.contact = c.ID, c.Contact.ID
	}
	p.counter = startCounter(t, p.sim, p.all)
	p.sim.Subscribe(p.counter.server.URL + "/webhooks/" + pathToken)
	p.js = connect(t, n.url())
	p.wire = startWire(t, localhost(n.port))
	directory := map[string]string{}
	for _, s := range p.all {
		sum := sha256.Sum256([]byte("acme.cx.sangoma.com\n" + s.id + "@new.test"))
		directory[hex.EncodeToString(sum[:])] = s.id
	}
	p.wire.contact = func(key string) string { return directory[key] }
	config := strings.Replace(external(t, p.wire.url(), p.counter.server.URL+cxsim.Root), `timeout = "30s"`, `timeout = "4m"`, 1)
	p.bridge = startBridge(t, config+standsStill)
	p.bridge.ready(t)
	p.counter.set(nil, p.bridge)
	return p
}

// pin returns where each command is to stand still when the bridge is killed for the nth time.
func (p *points) pin(n int) map[string]*pin {
	pins := map[string]*pin{}
	for _, s := range p.all {
		if n < len(s.cuts) {
			pins[s.id] = newPin(s.cuts[n].step, s.cuts[n].after)
		}
	}
	p.wire.set(pins)
	p.counter.set(pins, p.bridge)
	return pins
}

func (p *points) publish(t *testing.T, kind, id, body string, header map[string]string) {
	t.Helper()
	m := &nats.Msg{Subject: "cx.cmd." + kind, Data: []byte(body), Header: nats.Header{"Nats-Msg-Id": {id}}}
	for name, value := range header {
		m.Header.Set(name, value)
	}
	if _, err := p.js.PublishMsg(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	p.total++
}

func (p *points) body(s *scenario, template string) string {
	return strings.NewReplacer("CONVERSATION", strconv.FormatInt(s.conversation, 10), "CONTACT", strconv.FormatInt(s.contact, 10),
		"INBOX", strconv.FormatInt(p.sim.InboxID(cxsim.ChannelAPI), 10), "ID", s.id).Replace(template)
}

// follow publishes another command in the lane of each.
func (p *points) follow(t *testing.T, name string) {
	t.Helper()
	for _, s := range p.all {
		switch {
		case s.alone:
		case s.kind == "conversation.start":
			p.publish(t, s.kind, s.id+"-"+name, p.body(s, strings.Replace(s.life.body, " first", " "+name, 1)), nil)
		default:
			p.publish(t, "message.send", s.id+"-"+name, p.body(s, strings.Replace(message, " first", " "+name, 1)), nil)
		}
	}
}

// kill waits until each command has come to its point and all others are done with, and kills the bridge.
func (p *points) kill(t *testing.T, n int, pins map[string]*pin) {
	t.Helper()
	limit := time.After(patience)
	waiting := 0
	for _, s := range p.all {
		waiting += s.waiting(n)
		if pins[s.id] == nil {
			continue
		}
		select {
		case <-pins[s.id].reached:
		case <-limit:
			t.Fatalf("%s: the bridge never came to the point", s)
		}
	}
	p.settled(t, waiting)
	if !p.bridge.running() {
		t.Fatal("the bridge ended by itself")
	}
	p.bridge.kill()
	status, ok := p.bridge.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the bridge did not die by SIGKILL: %v", p.bridge.cmd.ProcessState)
	}
	seen := p.seen(t)
	for _, s := range p.all {
		if n < len(s.cuts) && seen[s.id] != s.expected(n) {
			t.Errorf("%s: when the bridge was killed, there was %+v; wanted %+v", s, seen[s.id], s.expected(n))
		}
	}
}

// settled waits until so many commands are not acknowledged, and all are delivered.
func (p *points) settled(t *testing.T, waiting int) {
	t.Helper()
	var found string
	deadline := time.Now().Add(patience)
	for {
		found = p.consumers()
		if found == fmt.Sprintf("1 consumer, %d not acknowledged, 0 not delivered", waiting) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s; wanted %d not acknowledged", found, waiting)
		}
		pause(20 * time.Millisecond)
	}
}

func (p *points) consumers() string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := p.js.Stream(ctx, "CX_COMMANDS")
	if err != nil {
		return err.Error()
	}
	count, waiting, pending := 0, 0, uint64(0)
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		count, waiting, pending = count+1, waiting+c.NumAckPending, pending+c.NumPending
	}
	if list.Err() != nil {
		return list.Err().Error()
	}
	return fmt.Sprintf("%d consumer, %d not acknowledged, %d not delivered", count, waiting, pending)
}

// seen reads what can be seen of each command.
func (p *points) seen(t *testing.T) map[string]trace {
	t.Helper()
	all := map[string]trace{}
	note := func(id string, each func(*trace)) {
		seen := all[id]
		each(&seen)
		all[id] = seen
	}
	readAll(t, p.js, "CX_LEDGER", func(m jetstream.Msg, _ uint64) {
		tokens := strings.Split(m.Subject(), ".")
		switch tokens[2] {
		case "claim":
			note(tokens[3], func(s *trace) { s.records++ })
		case "done":
			note(tokens[3], func(s *trace) { s.outcomes++ })
		}
	})
	readAll(t, p.js, "CX_DEAD", func(m jetstream.Msg, _ uint64) {
		note(m.Headers().Get("Cx-Command-Id"), func(s *trace) { s.letters++ })
	})
	readAll(t, p.js, "CX_RESULTS", func(m jetstream.Msg, _ uint64) {
		note(m.Headers().Get("Cx-Command-Id"), func(s *trace) { s.results++ })
	})
	for id, roles := range p.carriedOut() {
		for _, role := range roles {
			if role == "first" {
				note(id, func(s *trace) { s.carried++ })
			}
		}
	}
	return all
}

var spoken = regexp.MustCompile(`"(c\d\d\d) (first|next|last)"`)

// carriedOut tells what the platform did for the commands of each lane, in order, by the id of its first one.
func (p *points) carriedOut() map[string][]string {
	all := map[string][]string{}
	for _, e := range p.sim.Journal().CarriedOut() {
		found := spoken.FindStringSubmatch(e.Body)
		switch {
		case found != nil:
			all[found[1]] = append(all[found[1]], found[2])
		case e.Op == cxsim.OpDeliverToAgent || e.Op == cxsim.OpFinish:
			id := p.counter.spoken[e.ConversationID].id
			all[id] = append(all[id], "first")
		default:
			id := ofCase.FindStringSubmatch(e.Body)[1]
			role := "contact"
			if p.counter.cases[id].kind == "contact.create" {
				role = "first"
			}
			all[id] = append(all[id], role)
		}
	}
	return all
}

// goOn starts the bridge anew. It takes events at once, and commands only when all of them are stored.
func (p *points) goOn(t *testing.T, n int) map[string]*pin {
	t.Helper()
	pins := p.pin(n)
	p.bridge.restart(t)
	p.sim.ResumeDeliveries()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.sim.WaitIdle(ctx); err != nil {
		t.Fatal("the platform's events are not taken: ", err)
	}
	eventually(t, "all events are stored", func() bool {
		s, err := p.js.Stream(ctx, "CX_EVENTS")
		return err == nil && int(s.CachedInfo().State.Msgs) == p.counter.taken()
	})
	// As if the lease of the dead bridge had run out, which it does not in the time of a test.
	leases, err := p.js.KeyValue(ctx, "CX_BRIDGE")
	if err == nil {
		err = leases.Delete(ctx, "active")
	}
	if err != nil {
		t.Fatal(err)
	}
	return pins
}

// TestABridgeIsKilledAtEachPointOfACommandsLife kills the process when hundreds of commands are each at another point, and kills the next one when
// some of them are at a point of what follows. Nothing is lost, nothing is done twice, the order is kept, and there is one result.
func TestABridgeIsKilledAtEachPointOfACommandsLife(t *testing.T) {
	p := startPoints(t)
	p.sim.PauseDeliveries() // the platform tells the next bridge
	pins := p.pin(0)
	for _, s := range p.all {
		p.publish(t, s.kind, s.id, p.body(s, s.life.body), s.header)
	}
	p.follow(t, "next")
	p.kill(t, 0, pins)
	p.follow(t, "last")
	pins = p.goOn(t, 1)
	p.kill(t, 1, pins)
	p.goOn(t, 2)
	eventually(t, "each command has a result", func() bool {
		s, err := p.js.Stream(context.Background(), "CX_RESULTS")
		return err == nil && int(s.CachedInfo().State.Msgs) >= p.total
	})
	p.settled(t, 0)
	p.verify(t)
	judged(t, p.js)
	if status := p.bridge.stop(t); status != 0 {
		t.Errorf("the last bridge ended with status %d", status)
	}
}

// verify holds each scenario against what it has to come to.
func (p *points) verify(t *testing.T) {
	t.Helper()
	results, letters := map[string][]string{}, map[string]int{}
	readAll(t, p.js, "CX_RESULTS", func(m jetstream.Msg, _ uint64) {
		var r result
		if err := json.Unmarshal(m.Data(), &r); err != nil {
			t.Errorf("%s: %v", m.Data(), err)
		}
		results[r.CommandID] = append(results[r.CommandID], r.Status)
	})
	readAll(t, p.js, "CX_DEAD", func(m jetstream.Msg, _ uint64) { letters[m.Headers().Get("Cx-Command-Id")]++ })
	done, counts := p.carriedOut(), map[string]int{}
	for _, s := range p.all {
		counts[s.status()]++
		t.Run(s.String(), func(t *testing.T) {
			s.verify(t, results, letters, done[s.id])
		})
	}
	t.Logf("%d commands, of which %d at a point where the bridge was killed: %v", p.total, len(p.all), counts)
}

func (s *scenario) verify(t *testing.T, results map[string][]string, letters map[string]int, done []string) {
	t.Helper()
	if got := results[s.id]; !slices.Equal(got, []string{s.status()}) {
		t.Errorf("results %v; wanted %s", got, s.status())
	}
	wanted := map[string]int{"invalid": 1, "refused": 1, "unknown": 1}[s.status()]
	if letters[s.id] != wanted {
		t.Errorf("%d dead letters; wanted %d", letters[s.id], wanted)
	}
	order := slices.DeleteFunc(slices.Clone(done), func(role string) bool { return role == "contact" })
	expect := slices.Repeat([]string{"first"}, s.times())
	if !s.alone {
		for _, name := range []string{"next", "last"} {
			expect = append(expect, name)
			if got := results[s.id+"-"+name]; !slices.Equal(got, []string{"done"}) || letters[s.id+"-"+name] != 0 {
				t.Errorf("the %s one: results %v, %d dead letters", name, got, letters[s.id+"-"+name])
			}
		}
	}
	if s.free { // it waits for nobody, and nobody for it
		slices.Sort(order)
		slices.Sort(expect)
	}
	if !slices.Equal(order, expect) {
		t.Errorf("carried out: %v; wanted %v", order, expect)
	}
	if len(done)-len(order) > 1 {
		t.Errorf("the contact was created %d times", len(done)-len(order))
	}
}
