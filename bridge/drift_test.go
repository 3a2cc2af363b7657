package bridge_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/drift"
)

// TestWhatTheVendorChangesIsToldAndBreaksNothing sends an event that nobody knows, and one with a member that nobody knows.
func TestWhatTheVendorChangesIsToldAndBreaksNothing(t *testing.T) {
	_, cfg := simulate(t)
	b := start(t, cfg).waitReady()
	js := connect(t, b.NATSURL())
	for _, body := range []string{
		`{"event":"ticket_opened","id":7,"title":"Ann's bill"}`,
		`{"event":"message_created","id":9001,"content":"hi","message_type":"incoming","mood":"angry","conversation":{"id":42,"inbox_id":5,"status":"pending"}}`,
	} {
		if status := b.post(body); status != http.StatusOK {
			t.Errorf("%s: %d", body, status)
		}
	}
	var told drift.Report
	natstest.Eventually(t, "both events to be looked at", func() bool {
		status, body := b.get("/drift")
		if strings.Contains(body, "Ann") || strings.Contains(body, "angry") {
			t.Fatalf("values are shown: %s", body)
		}
		told = drift.Report{}
		return status == http.StatusOK && json.Unmarshal([]byte(body), &told) == nil && told.Examined == 2
	})
	var findings []string
	for _, f := range told.Findings {
		findings = append(findings, string(f.Kind)+" "+f.Event+" "+f.Path+" "+string(f.Sample))
	}
	if diff := cmp.Diff([]string{`event ticket_opened  {"event":"string","id":"integer","title":"string"}`, `member message_created mood "string"`}, findings); diff != "" {
		t.Error(diff)
	}
	var asked drift.Report
	if asks(t, js.Conn(), "bridge.drift", "", &asked); len(asked.Findings) != 2 {
		t.Errorf("bridge.drift = %+v", asked)
	}
	if n := stored(t, js, "CX_EVENTS"); n != 2 {
		t.Errorf("%d events are stored", n)
	}
	if _, text := b.get("/metrics"); !strings.Contains(text, `cxbridge_drift_total{kind="member"} 1`) {
		t.Error("no metric of it")
	}
}
