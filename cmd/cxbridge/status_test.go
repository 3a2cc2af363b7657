package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestStatusTellsWhatIsWrong(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	rate := 2.5
	for _, test := range []struct {
		status bridge.Status
		want   string
	}{
		{
			bridge.Status{
				Bridge: "a/1", Version: "1.2.3", Tenant: "acme.test", Active: true, Epoch: 7, Held: 5, Running: 2, Lanes: 1, Circuit: "open", Rate: &rate,
				HoldUntil: subjects.Time{Time: now.Add(time.Minute)}, Spool: true, Spooled: 3, SpoolBytes: 4096,
				Problems: []bridge.Fault{{Check: "bus", Problem: "no \x1banswer"}}, Remarks: []string{"commands are paused"},
			},
			`bridge    a/1, version 1.2.3, for tenant acme.test
ready     no
problem   bus: no �answer
note      commands are paused
active    this bridge carries out commands, epoch 7
commands  5 held in 1 lane, 2 of them running
API       circuit breaker open, 2.5 calls a second allowed, no call before 2026-11-23T09:01:00.000Z, as it asked
spool     3 events, 4096 bytes
`,
		},
		{
			bridge.Status{Bridge: "a/1", Version: "1.2.3", Tenant: "acme.test", Ready: true, Holder: "b/2", Circuit: "closed", HoldUntil: subjects.Time{Time: now}},
			`bridge    a/1, version 1.2.3, for tenant acme.test
ready     yes, all of it is proven to work
active    b/2 carries out commands, and this one would take over
API       circuit breaker closed, no limit of calls
`,
		},
		{
			bridge.Status{Bridge: "a/1", Version: "1.2.3", Tenant: "acme.test", Ready: true},
			`bridge    a/1, version 1.2.3, for tenant acme.test
ready     yes, all of it is proven to work
active    it is not known which bridge carries out commands
`,
		},
	} {
		var out bytes.Buffer
		if err := tellStatus(&out, test.status, now); err != nil || out.String() != test.want {
			t.Errorf("%v\n%swant\n%s", err, &out, test.want)
		}
	}
}

func TestStatusFailsWithoutABridgeThatIsReady(t *testing.T) {
	b := startWholeBus(t, "cx")
	b.contains(b.run(exitFailed, "status"), `cxbridge: no bridge answers on this bus with subjects.prefix "cx"; is it running?`)
	status := bridge.Status{Bridge: "a/1", Problems: []bridge.Fault{{Check: "bus", Problem: "away"}}}
	b.serve(map[string]rpc.Query{queryStatus: func(context.Context, []byte) (any, error) { return status, nil }})
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		var out, errOut bytes.Buffer
		if got := execute(b.ctx(), b.on(args), &out, &errOut); got != exitFailed || errOut.Len() > 0 || !bytes.Contains(out.Bytes(), []byte("away")) {
			t.Errorf("%v: exit status %d\n%s%s", args, got, &out, &errOut)
		}
	}
	status.Ready = true
	if told := decode[bridge.Status](b, b.run(exitDone, "status", "--json")); told.Bridge != "a/1" {
		t.Errorf("status --json = %+v", told)
	}
	other := &deadBus{T: t, url: b.url, names: namesOf(t, "other")}
	other.contains(other.run(exitFailed, "status"), `subjects.prefix "other"`)
}

func namesOf(t *testing.T, prefix string) subjects.Names {
	t.Helper()
	names, err := subjects.New(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
