//go:build interop

package interop

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
)

// TestTheNATSCommandLineShowsTheService looks at the micro service as an operator does.
func TestTheNATSCommandLineShowsTheService(t *testing.T) {
	w := newWorld(t)
	c, err := w.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	if answer := w.cli(t, "request", "cx.rpc.message.send", fmt.Sprintf(`{"conversation_id":%d,"content":"hello"}`, c.ID), "--raw"); !strings.Contains(answer, `"status":"done"`) {
		t.Errorf("cx.rpc.message.send: %s", answer)
	}
	if list := w.cli(t, "micro", "ls"); !strings.Contains(list, "cxbridge") {
		t.Errorf("nats micro ls: %s", list)
	}
	info, stats := w.cli(t, "micro", "info", "cxbridge"), w.cli(t, "micro", "stats", "cxbridge")
	endpoints := asyncapi.Queries()
	for _, k := range subjects.Kinds() {
		endpoints = append(endpoints, string(k))
	}
	for _, e := range endpoints {
		if !strings.Contains(info, "cx.rpc."+e) {
			t.Errorf("nats micro info does not show cx.rpc.%s:\n%s", e, info)
		}
		if !strings.Contains(stats, strings.ReplaceAll(e, ".", "-")) {
			t.Errorf("nats micro stats does not show %s:\n%s", e, stats)
		}
	}
}

// TestARequestThatTimesOutSaysWhereItsCommandStands makes a request that waits for less than the API takes.
func TestARequestThatTimesOutSaysWhereItsCommandStands(t *testing.T) {
	w := newWorld(t)
	js := w.connect(t)
	c, err := w.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: 503})
	body := fmt.Sprintf(`{"conversation_id":%d,"content":"hello"}`, c.ID)
	answer := w.cli(t, "request", "cx.rpc.message.send", body, "--header", "Cx-Timeout:5s", "--header", "Nats-Msg-Id:slow-1")
	// On a machine that is slow enough, the time is over before the command is known to be stored.
	if !strings.Contains(answer, "will still be carried out; its result will be on cx.result.message.send.slow-1") && !strings.Contains(answer, "publish it again with the same Nats-Msg-Id") {
		t.Errorf("answered %s", answer)
	}
	w.sim.ClearFaults()
	eventually(t, "the result of the command", func() bool {
		s, err := js.Stream(t.Context(), "CX_RESULTS")
		if err != nil {
			return false
		}
		m, err := s.GetLastMsgForSubject(t.Context(), "cx.result.message.send.slow-1")
		return err == nil && m.Header.Get("Cx-Status") == "done" || stored(t, js, "CX_COMMANDS") == 0
	}, w.bridge)
	judged(t, js)
}

// cli runs the nats command line that setup.sh installed, and returns what it prints.
func (w *world) cli(t *testing.T, args ...string) string {
	t.Helper()
	path, err := filepath.Abs(".cache/bin/nats")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, append(args, "--server", w.url(), "--timeout", time.Minute.String())...).CombinedOutput()
	if err != nil {
		t.Fatalf("nats %s: %v\n%s\nIf the command is missing: run test/interop/setup.sh", strings.Join(args, " "), err, out)
	}
	return string(out)
}
