package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/webhook"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

const conversations = 20

// TestInstancesShareTheConversations runs two instances behind a receiver of webhooks with keyed subjects. Each conversation stays with one of
// them, also when that one is away for a while, and is answered in order, each message once.
func TestInstancesShareTheConversations(t *testing.T) {
	w := newWorld(t)
	stop := []func(){w.start(0, 2), w.start(1, 2)}
	natstest.Eventually(t, "the stream of the bot", func() bool { _, err := w.js.Stream(t.Context(), name); return err == nil }) // it begins with what comes now
	for round := range 3 {
		w.everybodyWrites(round)
	}
	w.answered(3 * conversations)
	own := w.owners()
	counts := map[int]int{}
	for _, instance := range own {
		counts[instance]++
	}
	if len(own) != conversations || counts[0] == 0 || counts[1] == 0 {
		t.Fatalf("%d conversations, of the instances: %v", len(own), counts)
	}

	stop[1]()
	w.everybodyWrites(3)
	w.answered(3*conversations + counts[0]) // those of the other instance wait
	stop[1] = w.start(1, 2)
	w.answered(4 * conversations)
	if now := w.owners(); !maps.Equal(now, own) {
		t.Errorf("conversations moved: %v, before %v", now, own)
	}

	stop[0]() // one instance is enough for all that the two had
	stop[1]()
	w.everybodyWrites(4)
	stop[0] = w.start(0, 1)
	w.answered(5 * conversations)
	w.inOrder(5)
	stop[0]()
}

// world is a bus, a receiver of webhooks, and instances of the bot.
type world struct {
	*testing.T
	js       jetstream.JetStream
	webhooks http.Handler

	mu      sync.Mutex
	handled map[string]int // the instance that had a conversation last
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, js: natstest.Start(t).JetStream(t), handled: map[string]int{}}
	names, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range names.Streams(subjects.StreamSettings{Replicas: 1, Keyed: true}) {
		natstest.CreateStream(t, w.js, jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects, AllowDirect: true, Duplicates: time.Hour})
	}
	config := webhook.DefaultConfig()
	config.PathTokens = []string{"path-token-1"}
	config.AttemptTimeout, config.StoreTimeout = natstest.Patience, natstest.Patience
	r, err := webhook.New(config, webhook.Deps{Names: names, Tenant: "acme.cx.sangoma.com", Keyed: true, Publisher: w.js, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.webhooks = r.Handler()
	return w
}

// start runs an instance until the function that it returns is called.
func (w *world) start(instance, instances int) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx, w.js, instance, instances, func(m jetstream.Msg) error {
			w.note(m.Headers().Get("Cx-Conversation-Id"), instance)
			return answer(w.Context(), w.js, m)
		}); err != nil {
			w.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.Cleanup(stop)
	return stop
}

func (w *world) note(conversation string, instance int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handled[conversation] = instance
}

// owners tells which instance had each conversation last.
func (w *world) owners() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.handled)
}

// everybodyWrites sends the webhook of one message in each conversation.
func (w *world) everybodyWrites(round int) {
	w.Helper()
	for c := range conversations {
		body := fmt.Sprintf(`{"event":"message_created","id":"%d-%d","content":"hi","message_type":"incoming","inbox":{"id":5},"conversation":{"id":%d}}`, c, round, c)
		q := httptest.NewRequestWithContext(w.Context(), http.MethodPost, "/webhooks/path-token-1", strings.NewReader(body))
		recorded := httptest.NewRecorder()
		if w.webhooks.ServeHTTP(recorded, q); recorded.Code != http.StatusOK {
			w.Fatalf("%s: %d %s", body, recorded.Code, recorded.Body)
		}
	}
}

// answered waits until there are so many commands.
func (w *world) answered(wanted int) {
	w.Helper()
	natstest.Eventually(w.T, fmt.Sprintf("%d answers", wanted), func() bool {
		s, err := w.js.Stream(w.Context(), "CX_COMMANDS")
		return err == nil && s.CachedInfo().State.Msgs >= uint64(wanted)
	})
}

// inOrder wants each message of each conversation to have been answered once, in order.
func (w *world) inOrder(rounds int) {
	w.Helper()
	s, err := w.js.Stream(w.Context(), "CX_COMMANDS")
	if err != nil {
		w.Fatal(err)
	}
	got := map[string][]string{}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(w.Context(), seq)
		if err != nil {
			w.Fatal(err)
		}
		var command struct {
			ConversationID string `json:"conversation_id"`
			Content        string
		}
		if err := json.Unmarshal(m.Data, &command); err != nil {
			w.Fatal(err)
		}
		got[command.ConversationID] = append(got[command.ConversationID], strings.TrimPrefix(command.Content, "I got "+command.ConversationID))
	}
	var want []string
	for round := range rounds {
		want = append(want, fmt.Sprintf("-%d", round))
	}
	if len(got) != conversations {
		w.Errorf("%d conversations were answered", len(got))
	}
	for conversation, answers := range got {
		if !slices.Equal(answers, want) {
			w.Errorf("conversation %s was answered %q", conversation, answers)
		}
	}
}
