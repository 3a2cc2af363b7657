//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// operation is one protocol message of NATS, as it stands on the wire.
type operation struct {
	verb, subject, reply string
	header, payload      []byte
	raw                  []byte // all of it
}

// readOperation reads the next one, however it is cut into segments.
func readOperation(r *bufio.Reader) (operation, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return operation{}, err
	}
	fields := strings.Fields(string(line))
	o := operation{raw: line}
	if len(fields) == 0 {
		return o, nil
	}
	o.verb = strings.ToUpper(fields[0])
	names, sizes := 0, 1
	switch o.verb {
	case "PUB":
		names = 1
	case "HPUB":
		names, sizes = 1, 2
	case "MSG":
		names = 2
	case "HMSG":
		names, sizes = 2, 2
	default:
		return o, nil
	}
	rest := len(fields) - 1 - names - sizes // a subject for a reply, or none
	if rest < 0 || rest > 1 {
		return o, fmt.Errorf("not understood: %q", line)
	}
	o.subject = fields[1]
	if rest == 1 {
		o.reply = fields[1+names]
	}
	total, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return o, fmt.Errorf("not understood: %q", line)
	}
	body := make([]byte, total+len("\r\n"))
	if _, err := io.ReadFull(r, body); err != nil {
		return o, err
	}
	o.raw, o.payload = append(o.raw, body...), body[:total]
	if sizes == 2 {
		n, err := strconv.Atoi(fields[len(fields)-2])
		if err != nil || n > total {
			return o, fmt.Errorf("not understood: %q", line)
		}
		o.header, o.payload = body[:n], body[n:total]
	}
	return o, nil
}

// headerValue returns the value of a header, empty if there is none.
func (o operation) headerValue(name string) string {
	_, rest, found := bytes.Cut(o.header, []byte("\r\n"+name+":"))
	if !found {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(bytes.TrimSpace(value))
}

// pin is a point of a command's life at which its bridge is to stand still, until it is killed.
type pin struct {
	step    string
	after   bool // the server has it, and the bridge does not get to know; else it never leaves
	reached chan struct{}
	once    sync.Once
}

func newPin(step string, after bool) *pin {
	return &pin{step: step, after: after, reached: make(chan struct{})}
}

func (p *pin) reach() { p.once.Do(func() { close(p.reached) }) }

func (p *pin) isReached() bool {
	select {
	case <-p.reached:
		return true
	default:
		return false
	}
}

// wire stands between a bridge and its server. It passes each operation on, except those that belong to a step at which a command is pinned:
// others of the same connection go on, as they do when the one goroutine is slow that works on the command.
type wire struct {
	listener net.Listener
	target   string
	contact  func(key string) (commandID string) // whose entry in the directory of contacts it is

	mu         sync.Mutex
	pins       map[string]*pin   // by command id
	awaited    map[string]*pin   // by the subject of the acknowledgement that is to be kept back
	deliveries map[string]string // command ids by the subject to acknowledge on
	conns      map[net.Conn]struct{}
}

// startWire listens until the test ends.
func startWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, deliveries: map[string]string{}, conns: map[net.Conn]struct{}{}, contact: func(string) string { return "" }}
	w.set(nil)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			all.Go(func() { w.serve(in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // nothing is lost
		w.mu.Lock()
		for c := range w.conns {
			_ = c.Close() // mostly it is closed already
		}
		w.mu.Unlock()
		all.Wait()
	})
	return w
}

func (w *wire) url() string { return "nats://" + w.listener.Addr().String() }

// set pins commands, and lets go all that were pinned before.
func (w *wire) set(pins map[string]*pin) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pins, w.awaited = pins, map[string]*pin{}
}

func (w *wire) serve(in net.Conn) {
	out, err := net.Dial("tcp", w.target)
	if err != nil {
		_ = in.Close() // the bridge tries again
		return
	}
	w.mu.Lock()
	w.conns[in], w.conns[out] = struct{}{}, struct{}{}
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { pump(in, out, w.said) })
	both.Go(func() { pump(out, in, w.answered) })
	both.Wait()
	w.mu.Lock()
	delete(w.conns, in)
	delete(w.conns, out)
	w.mu.Unlock()
}

// pump carries operations from one side to the other. What is told of each says whether it passes, and what is to be done when it has.
func pump(from, to net.Conn, told func(operation) (passes bool, passed func())) {
	defer from.Close()
	defer to.Close()
	for r := bufio.NewReader(from); ; {
		o, err := readOperation(r)
		if err != nil {
			return // a side is gone
		}
		passes, passed := told(o)
		if passes {
			if _, err := to.Write(o.raw); err != nil {
				return
			}
		}
		passed()
	}
}

// said decides about what the bridge says.
func (w *wire) said(o operation) (passes bool, passed func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	step, id := w.classify(o)
	p := w.pins[id]
	switch {
	case p == nil || p.step != step:
		return true, func() {}
	case !p.after:
		return false, p.reach
	case o.reply == "":
		return true, p.reach
	}
	w.awaited[o.reply] = p
	return true, func() {}
}

// answered decides about what the server says.
func (w *wire) answered(o operation) (passes bool, passed func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(o.reply, "$JS.ACK.") {
		w.deliveries[o.reply] = o.headerValue("Nats-Msg-Id")
	}
	p := w.awaited[o.subject]
	if p == nil {
		return true, func() {}
	}
	var ack struct {
		Seq   uint64          `json:"seq"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(o.payload, &ack); err != nil || ack.Seq == 0 || ack.Error != nil {
		return !p.isReached(), func() {} // the refusal of a repeat of what is stored does not tell the bridge either
	}
	p.reach()
	return false, func() {}
}

// classify tells which step of which command's life it is that the bridge says something for. w.mu is held.
func (w *wire) classify(o operation) (step, commandID string) {
	last := o.subject[strings.LastIndexByte(o.subject, '.')+1:]
	switch {
	case strings.HasPrefix(o.subject, "_cx.ledger.claim."):
		return classifyRecord(o.payload)
	case strings.HasPrefix(o.subject, "_cx.ledger.done."):
		return "outcome", last
	case strings.HasPrefix(o.subject, "$KV.CX_CONTACTS."):
		return "directory", w.contact(last)
	case strings.HasPrefix(o.subject, "cx.dead.cmd."):
		return "letter", o.headerValue("Cx-Command-Id")
	case strings.HasPrefix(o.subject, "cx.result."):
		return "result", last
	case strings.HasPrefix(o.subject, "$JS.ACK."):
		if bytes.HasPrefix(o.payload, []byte("+ACK")) || bytes.HasPrefix(o.payload, []byte("+TERM")) {
			return "ack", w.deliveries[o.subject]
		}
	}
	return "", ""
}

// classifyRecord tells what stands in the chain of a command's claims.
func classifyRecord(payload []byte) (step, commandID string) {
	var record struct {
		CommandID string          `json:"command_id"`
		After     uint64          `json:"after"`
		Outcome   json.RawMessage `json:"outcome"`
		Released  json.RawMessage `json:"released"`
	}
	if err := json.Unmarshal(payload, &record); err != nil {
		return "", ""
	}
	switch {
	case record.Outcome != nil:
		return "outcome", record.CommandID
	case record.Released != nil:
		return "release", record.CommandID
	case record.After > 0:
		return "claim again", record.CommandID
	}
	return "claim", record.CommandID
}

// onePerRead hands out a byte at a time.
type onePerRead struct{ io.Reader }

func (r onePerRead) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

// TestTheWireIsReadAsItIs holds the reading of NATS' protocol against what it writes, in one segment and in as many as there are bytes.
func TestTheWireIsReadAsItIs(t *testing.T) {
	text := "INFO {\"a\":1}\r\nPUB a.b 2\r\n\r\n\r\nPUB a.b r.1 5\r\nPUB x\r\nHPUB a.b r.2 21 26\r\nNATS/1.0\r\nA: b  c\r\n\r\nhello\r\n" +
		"+OK\r\nHPUB a.b 12 12\r\nNATS/1.0\r\n\r\n\r\nMSG a.b 7 3\r\nabc\r\nMSG a.b 7 r.3 0\r\n\r\nHMSG a.b 7 r.4 12 15\r\nNATS/1.0\r\n\r\nxyz\r\nPING\r\n"
	want := []operation{
		{verb: "INFO"}, {verb: "PUB", subject: "a.b", payload: []byte("\r\n")}, {verb: "PUB", subject: "a.b", reply: "r.1", payload: []byte("PUB x")},
		{verb: "HPUB", subject: "a.b", reply: "r.2", header: []byte("NATS/1.0\r\nA: b  c\r\n\r\n"), payload: []byte("hello")}, {verb: "+OK"},
		{verb: "HPUB", subject: "a.b", header: []byte("NATS/1.0\r\n\r\n")}, {verb: "MSG", subject: "a.b", payload: []byte("abc")},
		{verb: "MSG", subject: "a.b", reply: "r.3"}, {verb: "HMSG", subject: "a.b", reply: "r.4", header: []byte("NATS/1.0\r\n\r\n"), payload: []byte("xyz")},
		{verb: "PING"},
	}
	for _, in := range []io.Reader{strings.NewReader(text), onePerRead{strings.NewReader(text)}} {
		r, raw := bufio.NewReader(in), ""
		for i, w := range want {
			o, err := readOperation(r)
			if err != nil {
				t.Fatal(i, err)
			}
			if o.verb != w.verb || o.subject != w.subject || o.reply != w.reply || !bytes.Equal(o.header, w.header) || !bytes.Equal(o.payload, w.payload) {
				t.Errorf("%d: %+v", i, o)
			}
			if i == 3 && (o.headerValue("A") != "b  c" || o.headerValue("B") != "") {
				t.Errorf("header %q", o.headerValue("A"))
			}
			raw += string(o.raw)
		}
		if raw != text {
			t.Errorf("passed on as %q", raw)
		}
	}
}
