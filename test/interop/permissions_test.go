//go:build interop

package interop

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// TestEveryBotGetsAlongWithThePermissionsOfTheDocs runs the bots as the user of docs/bots.md, in front of streams that the test has made.
func TestEveryBotGetsAlongWithThePermissionsOfTheDocs(t *testing.T) {
	for _, b := range slices.Concat(bots, slowBots) {
		if b.byRequest {
			continue // its command line takes administrators' permissions
		}
		t.Run(b.name, func(t *testing.T) {
			m := b.make(t)
			address := guardedServer(t, b.name)
			js := streams(t, address)
			echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
			t.Cleanup(echo.Close)
			p := start(t, b.name, m.dir, []string{"NATS_URL=nats://" + address, "LLM_URL=" + echo.URL}, m.placed(m.run)...)
			eventually(t, b.name+" listens", func() bool {
				return consumer(t, js, "CX_EVENTS", b.name) != nil && consumer(t, js, "CX_RESULTS", b.name+"-results") != nil
			}, p)
			for _, body := range []string{`{}`, `[]`, `{"content":null,"conversation":null}`, `{"content":7,"conversation":[]}`, `{`, ``} {
				publish(t, js, "cx.message.created", body, nats.Header{"Cx-Origin": {"customer"}}) // it must not be kept busy by what is strange
			}
			publish(t, js, "cx.message.created", `{"content":"hello","conversation":{"id":1,"status":"pending"}}`,
				nats.Header{"Cx-Origin": {"customer"}, "Cx-Conversation-Id": {"1"}, "Cx-Message-Id": {"7"}, "Cx-Received-At": {time.Now().UTC().Format(time.RFC3339)}})
			publish(t, js, "cx.result.message.send.x", `{}`, nats.Header{"Cx-Command-Id": {b.name + "-answer-7"}, "Cx-Status": {"done"}})
			eventually(t, "the event and the result are done with", func() bool {
				return stored(t, js, "CX_COMMANDS") > 0 && acknowledged(t, js, "CX_EVENTS", b.name) &&
					acknowledged(t, js, "CX_RESULTS", b.name+"-results") && p.printed(b.name+"-answer-7 done") == 1
			}, p)
			if strings.Contains(strings.ToLower(p.output()), "permissions violation") {
				t.Errorf("%s asked for more than it may", b.name)
			}
		})
	}
}

// guardedServer is a NATS server with the configuration of the docs.
func guardedServer(t *testing.T, bot string) (address string) {
	t.Helper()
	var config string
	for _, s := range snippets(t) {
		if s.language == "conf" {
			config = strings.ReplaceAll(s.text, "my-bot", bot)
		}
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.Host, options.Port, options.StoreDir, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, t.TempDir(), true, true
	options.NoAuthUser = bot // whoever does not log in is the bot, as the examples have no password
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server takes no connections")
	}
	return s.Addr().String()
}

// streams makes the streams of the bridge.
func streams(t *testing.T, address string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect("nats://bridge:change-me@"+address, nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range names.Streams(subjects.StreamSettings{Replicas: 1}) {
		if s.Internal {
			continue
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects}); err != nil {
			t.Fatal(err)
		}
	}
	return js
}

func publish(t *testing.T, js jetstream.JetStream, subject, body string, header nats.Header) {
	t.Helper()
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header, Data: []byte(body)}); err != nil {
		t.Fatal(err)
	}
}
