package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

// TestCommandsSayTheSameWithABridgeAndWithout runs each command line on two buses that hold the same, one of them with a bridge.
func TestCommandsSayTheSameWithABridgeAndWithout(t *testing.T) {
	for _, prefix := range []string{"cx", "acme"} {
		t.Run(prefix, func(t *testing.T) {
			with, without := startWholeBus(t, prefix), startWholeBus(t, prefix)
			asked := with.listen()
			with.runBridge()
			with.runBridge() // one of the two answers
			for _, b := range []*deadBus{with, without} {
				for _, id := range []string{"c1", "c2", "c3", "c4"} {
					b.put(b.message(id, subjects.StatusRefused, subjects.ReasonNotFound))
				}
				b.put(b.webhook())
			}
			all := map[string]bool{}
			for _, test := range []struct{ line, queries, note string }{
				{"dead list", "list", ""}, {"dead list --json", "list", ""}, {"dead list --limit 1", "list", ""},
				{"dead list --limit 2 --after 1 --reason not_found --status refused --newer-than 1d --json", "list", ""},
				{"dead list --subject " + prefix + ".dead.webhook.*", "list", ""}, {"dead list --command c2 --older-than 1d", "list", ""},
				{"dead list --subject ..", "list", ""},
				{"dead show 1 5", "show", ""}, {"dead show c2 5 --json", "show list", ""}, {"dead show c2 --no-body", "show list", ""},
				{"dead show 99", "show list", ""}, {"dead show nobody", "list", ""},
				{"dead replay c1 3 --dry-run", "list show replay", ""}, {"dead replay --all --dry-run --json", "list replay", ""},
				{"dead replay c1 --rate 100", "list replay", "alone"}, {"dead replay 2 --keep --json", "show replay", "alone"},
				{"dead replay 5", "show replay", ""}, {"dead replay 1 99", "show list", ""}, {"dead replay --reason timeout", "list", ""},
				{"dead replay --newer-than 1d", "list replay", "alone"}, {"explain c1", "explain", ""},
				{"dead drop 99", "show list", ""}, {"dead drop --all --dry-run --json", "list", ""}, {"dead drop --all", "list drop", ""},
				{"dead drop --all", "list", ""}, {"dead list", "list", ""},
				{"explain c2 --json", "explain", ""}, {"explain nobody", "explain", ""}, {"explain --conversation 42", "explain", ""},
				{"resume", "resume", "alone"}, {"pause --reason test", "pause", "alone"}, {"pause --json", "pause", "alone"}, {"resume --json", "resume", "alone"},
			} {
				told, note := with.runs(strings.Fields(test.line)...)
				if note != "" {
					t.Errorf("%s with a bridge says that there is none", test.line)
				}
				alone, note := without.runs(strings.Fields(test.line)...)
				if told != alone || note != test.note {
					t.Errorf("%s\nwith a bridge: %s\nwithout: %s%s", test.line, told, alone, note)
				}
				heard := asked()
				for query := range heard {
					all[query] = true
				}
				for query := range strings.FieldsSeq(test.queries) {
					if heard["bridge."+query]+heard["bridge.dead."+query] == 0 {
						t.Errorf("%s asks %v and not %s", test.line, heard, query)
					}
				}
			}
			if len(all) != len(bridge.BusQueries(with.js, with.names)) {
				t.Errorf("asked in all: %v", all)
			}
		})
	}
}

// TestADomainOfJetStreamIsForTheStreamsOnly: a bridge is asked on the same subjects wherever its streams are.
func TestADomainOfJetStreamIsForTheStreamsOnly(t *testing.T) {
	b := startWholeBus(t, "cx", func(o *server.Options) { o.JetStreamDomain = "hub" })
	b.three()
	domain := func(name string) []string { return []string{"dead", "list", "--nats.jetstream_domain", name} }
	b.contains(b.run(exitDone, domain("hub")...), "3 dead letters.")
	b.contains(b.run(exitFailed, domain("elsewhere")...), "JetStream does not answer")
	b.serve(bridge.BusQueries(b.js, b.names))
	b.contains(b.run(exitDone, domain("elsewhere")...), "3 dead letters.")
	b.contains(b.run(exitDone, append(domain("hub"), "--direct")...), "3 dead letters.")
}

func TestDirectAsksNoBridge(t *testing.T) {
	b := startWholeBus(t, "cx")
	asked := b.listen()
	b.three()
	for _, line := range []string{"dead list", "dead show 1", "dead replay 1", "dead drop 2", "explain c1", "pause", "resume"} {
		if told, note := b.runs(append(strings.Fields(line), "--direct")...); !strings.HasPrefix(told, "exit status 0") || note != "" {
			t.Errorf("%s --direct: %s%s", line, told, note)
		}
	}
	if heard := asked(); len(heard) > 0 {
		t.Errorf("asked: %v", heard)
	}
	b.expectLeft(3)
}

// vanish has a bridge that hears some queries, carries them out if it does, and never answers. Whoever asks waits until gone is called, or for as long as
// they like.
func (b *deadBus) vanish(does bool, gone func(query string)) {
	b.Helper()
	own := bridge.BusQueries(b.js, b.names)
	for _, query := range []string{queryPause, queryResume, queryExplain, queryReplay, queryDrop} { // it does not know the others
		conn := b.server.Conn(b)
		sub, err := conn.QueueSubscribe(b.names.RPCSubject(query), "q", func(m *nats.Msg) {
			if does {
				if _, err := own[query](b.ctx(), m.Data); err != nil {
					b.Error(err)
				}
			}
			gone(query)
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := conn.FlushTimeout(natstest.Patience); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = sub.Unsubscribe() }) // the connection may be closed already
	}
}

// TestNothingIsDoneTwiceWhenTheAnswerOfABridgeIsLost: a request that may have been heard is not repeated, neither over the bus nor without it.
func TestNothingIsDoneTwiceWhenTheAnswerOfABridgeIsLost(t *testing.T) {
	for name, made := range map[string]int{"after it was done": 1, "before it was done": 0} {
		t.Run(name, func(t *testing.T) {
			b := startWholeBus(t, "cx")
			b.three()
			heard, giveUp := make(chan string, 100), make(chan context.CancelFunc, 1)
			b.vanish(made == 1, func(query string) {
				heard <- query
				(<-giveUp)()
			})
			lost := func(query string, args ...string) string {
				t.Helper()
				ctx, cancel := context.WithCancel(b.ctx())
				giveUp <- cancel
				var out, errOut bytes.Buffer
				if status := execute(ctx, b.on(args), &out, &errOut); status != exitFailed || len(heard) != 1 || <-heard != query {
					t.Fatalf("%v: exit status %d\n%s%s", args, status, &out, &errOut)
				}
				return out.String() + errOut.String()
			}
			const unknown = "no answer of a bridge: context canceled; it is not known whether it was done"
			b.contains(lost(queryReplay, "dead", "replay", "2", "--keep"), "replay dead letter 2 (command c2): ", unknown, "cxbridge explain c2")
			if n := len(b.commands()["c2"]); n != made {
				t.Errorf("%d commands with --keep", n)
			}
			b.contains(lost(queryReplay, "dead", "replay", "--all"), "replay dead letter 1 (command c1): ", unknown, "to replay it again does no harm")
			if all := b.commands(); len(all["c1"]) != made || len(all["c2"]) != made {
				t.Errorf("commands %v: nothing more is asked after the first lost answer", all)
			}
			b.contains(lost(queryDrop, "dead", "drop", "3"), "drop dead letter 3: ", unknown, "no harm")
			if n := len(b.left()); n != 3-2*made { // one was replayed, one dropped
				t.Errorf("%d letters are left", n)
			}
			b.contains(lost(queryPause, "pause"), unknown, "no harm")
			b.contains(lost(queryResume, "resume"), unknown, "no harm")
			b.contains(lost(queryExplain, "explain", "c1"), "read the streams without a bridge with --direct")
			// Then the operator does what the error says.
			b.run(exitDone, "explain", "c2", "--direct")
			if made == 0 {
				b.run(exitDone, "dead", "replay", "1", "--direct")
			}
			if n := len(b.commands()["c1"]); n != 1 {
				t.Errorf("%d commands in the end", n)
			}
		})
	}
}

func TestABridgeThatDoesNotAnswerIsNotWaitedForForever(t *testing.T) {
	b := startWholeBus(t, "cx")
	b.three()
	b.vanish(false, func(string) {})
	b.contains(b.run(exitFailed, "explain", "c1", "--wait", "50ms"), "no answer of a bridge: none came in 50ms; wait longer with --wait, or ")
	b.contains(b.run(exitFailed, "dead", "replay", "--all", "--wait", "50ms"), "none came in 50ms; it is not known")
	b.expectLeft(1, 2, 3)
}

// TestWhatAnOlderBridgeDoesNotKnowIsDoneWithoutIt has a bridge that only lists dead letters.
func TestWhatAnOlderBridgeDoesNotKnowIsDoneWithoutIt(t *testing.T) {
	b := startWholeBus(t, "cx")
	b.three()
	b.serve(map[string]rpc.Query{queryList: bridge.BusQueries(b.js, b.names)[queryList]})
	b.contains(b.run(exitDone, "dead", "replay", "--all"), "2 letters replayed")
	b.expectLeft(3)
	if made := b.commands(); len(made["c1"]) != 1 || len(made["c2"]) != 1 {
		t.Errorf("commands %v", made)
	}
}

// TestListsLargerThanAMessageAreWhole has a bus that takes small messages only.
func TestListsLargerThanAMessageAreWhole(t *testing.T) {
	const letters, replays, most = 70, 300, 64 << 10
	b := startWholeBus(t, "cx", func(o *server.Options) { o.MaxPayload = most })
	asked := b.listen()
	b.serve(bridge.BusQueries(b.js, b.names))
	for i := range letters {
		letter := b.message(fmt.Sprint("c", i), subjects.StatusRefused, subjects.ReasonRejected)
		letter.Detail = strings.Repeat("long ", 400) // 2 KB
		b.put(letter)
	}
	large := b.message("large", subjects.StatusRefused, subjects.ReasonRejected)
	large.Original.Data = bytes.Repeat([]byte(`"`), most-8<<10) // twice as long in JSON
	b.put(large)
	list := decode[bridge.Letters](b, b.run(exitDone, "dead", "list", "--json"))
	for i, letter := range list.Letters {
		if letter.Sequence != uint64(i+1) {
			t.Fatalf("letter %d is number %d", letter.Sequence, i+1)
		}
	}
	if heard := asked()[queryList]; len(list.Letters) != letters+1 || list.Next != 0 || heard < 3 {
		t.Errorf("%d letters in %d parts, next %d", len(list.Letters), heard, list.Next)
	}
	b.contains(b.run(exitDone, "dead", "list", "--limit", "60"), "There are more: --after 60")
	shown := decode[letterDocuments](b, b.run(exitDone, "dead", "show", "large", "--json"))
	if len(shown.Letters) != 1 || *shown.Letters[0].Body != string(large.Original.Data) || asked()[queryShow] != 1 {
		t.Errorf("the large letter is shown as %d letters", len(shown.Letters))
	}
	for i := range replays {
		m := nats.NewMsg("cx.cmd.message.send")
		m.Header.Set(subjects.HeaderMsgID, fmt.Sprint("r", i))
		m.Header.Set(subjects.HeaderReplayOf, "c0")
		if _, err := b.js.PublishMsg(b.ctx(), m); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(b.run(exitDone, "explain", "c0"), "replayed as command r"); n != replays || asked()[queryExplain] != 1 {
		t.Errorf("%d of %d replays are told", n, replays)
	}
	b.contains(b.run(exitDone, "dead", "replay", "--all", "--dry-run"), "71 letters would be replayed.")
	b.contains(b.run(exitDone, "dead", "replay", "--all"), "71 letters replayed.")
	b.expectLeft()
}

// TestLettersOfCommandsThatFailAgainAreNotReplayedAgain: the bridge makes a letter of each replay at once, as it does of a malformed command.
func TestLettersOfCommandsThatFailAgainAreNotReplayedAgain(t *testing.T) {
	b := startWholeBus(t, "cx")
	b.three()
	queries := bridge.BusQueries(b.js, b.names)
	replay := queries[queryReplay]
	queries[queryReplay] = func(ctx context.Context, request []byte) (any, error) {
		answer, err := replay(ctx, request)
		for _, row := range answer.(bridge.Replayed).Letters {
			if row.ReplayID != "" {
				b.put(b.message(row.ReplayID, subjects.StatusInvalid, subjects.ReasonMalformed))
			}
		}
		return answer, err
	}
	b.serve(queries)
	b.contains(b.run(exitDone, "dead", "replay", "--all"), "2 letters replayed.")
	b.expectLeft(3, 4, 5)
}

// TestABusThatFailsEndsAReplay and what was done until then is told.
func TestABusThatFailsEndsAReplay(t *testing.T) {
	b := startWholeBus(t, "cx")
	b.three()
	queries := bridge.BusQueries(b.js, b.names)
	rows := []bridge.ReplayedRow{{Sequence: 1, ReplayID: "r1", Error: "drop dead letter 1: timeout", Failed: true}}
	queries[queryReplay] = func(context.Context, []byte) (any, error) { return bridge.Replayed{Letters: rows}, nil }
	b.serve(queries)
	b.contains(b.run(exitFailed, "dead", "replay", "--all"), "Replayed dead letter 1 as command r1.", "it was replayed as command r1, but: drop dead letter 1: timeout")
	rows = []bridge.ReplayedRow{{Sequence: 1, Error: "replay dead letter 1 as command r1: timeout", Failed: true}}
	text := b.run(exitFailed, "dead", "replay", "--all")
	if b.contains(text, "cxbridge: replay dead letter 1 as command r1: timeout"); strings.Contains(text, "replayed.") {
		t.Errorf("it goes on: %s", text)
	}
}

func TestErrorsOfABridgeAreTold(t *testing.T) {
	b := startWholeBus(t, "cx")
	b.serve(map[string]rpc.Query{
		queryPause: func(context.Context, []byte) (any, error) { return nil, fmt.Errorf("the bus is full") },
		queryExplain: func(ctx context.Context, _ []byte) (any, error) {
			if end, _ := ctx.Deadline(); time.Until(end) > time.Second {
				t.Errorf("the bridge goes on until %s", end)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		queryStatus: func(context.Context, []byte) (any, error) { return "none", nil },
	})
	b.contains(b.run(exitFailed, "pause"), "cxbridge: the bus is full\n")
	b.contains(b.run(exitFailed, "explain", "x", "--wait", "100ms"), "wait longer with --wait, or read the streams without a bridge with --direct")
	b.contains(b.run(exitFailed, "status"), "answer to bridge.status: ")
	b.contains(b.run(exitUsage, "explain", "x", "--wait", "0s"), "--wait must be from")
	b.contains(b.run(exitUsage, "explain", "x", "--wait", "2h"), "--wait must be from")
}

// TestWhoMayOnlyAskABridgeNeedsNoMore, and who may not ask one works on the streams.
func TestWhoMayOnlyAskABridgeNeedsNoMore(t *testing.T) {
	allow := func(name string, subjects ...string) *server.User {
		may := &server.SubjectPermission{Allow: subjects}
		return &server.User{Username: name, Password: "secret", Permissions: &server.Permissions{Publish: may, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX." + name + ".>"}}}}
	}
	b := startWholeBus(t, "cx", func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "secret"}, allow("asks", "cx.rpc.bridge.>"), allow("streams", "$JS.API.>", "$KV.>", "cx.cmd.>"),
		}
		o.NoAuthUser = "all"
	})
	asked := b.listen()
	b.serve(bridge.BusQueries(b.js, b.names))
	t.Setenv("CXBRIDGE_NATS__PASSWORD", "secret")
	for _, user := range []string{"asks", "streams"} {
		as := []string{"--nats.user", user, "--nats.inbox_prefix", "_INBOX." + user}
		b.put(b.message("c1-"+user, subjects.StatusRefused, subjects.ReasonNotFound), b.message("c2-"+user, subjects.StatusRefused, subjects.ReasonNotFound))
		for _, line := range []string{"dead list", "dead show c1-" + user, "explain c1-" + user, "dead replay c1-" + user, "dead drop c2-" + user, "pause", "resume"} {
			if text, note := b.runs(append(strings.Fields(line), as...)...); !strings.HasPrefix(text, "exit status 0") || note != "" {
				t.Errorf("%s as %s: %s%s", line, user, text, note)
			}
		}
		b.expectLeft()
		if heard := asked(); len(heard) != 7*(1-slices.Index([]string{"asks", "streams"}, user)) {
			t.Errorf("%s asked %v", user, heard)
		}
	}
	other := []string{"--nats.user", "asks", "--nats.inbox_prefix", "_INBOX.other"}
	b.contains(b.run(exitFailed, append([]string{"dead", "list"}, other...)...), `may not subscribe to "_INBOX.other.`, "nats.inbox_prefix")
	b.contains(b.run(exitFailed, "status", "--nats.user", "streams", "--nats.inbox_prefix", "_INBOX.streams"), `may not publish to "cx.rpc.bridge.status"`)
}
