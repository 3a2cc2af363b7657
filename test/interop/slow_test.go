//go:build interop

package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// TestASlowAnswerNeitherBlocksOthersNorComesTooLate plays with bots whose answers come from a model that answers when this test says so.
func TestASlowAnswerNeitherBlocksOthersNorComesTooLate(t *testing.T) {
	for _, b := range slowBots {
		t.Run(b.folder, func(t *testing.T) {
			m := b.make(t)
			w := newWorld(t)
			llm := newModel(t)
			s := &script{T: t, world: w, bot: m.start(t, w, "LLM_URL="+llm.url), made: m, wanted: map[int64][]string{}}
			s.playSlow(llm)
		})
	}
}

func (s *script) playSlow(llm *model) {
	// Two customers ask; the second gets an answer while the bot still thinks about the first.
	ann, first := s.asks("Ann", "a hard one")
	bob, _ := s.asks("Bob", "an easy one")
	llm.asked(s, "a hard one")
	llm.asked(s, "an easy one")
	llm.answer("an easy one")
	s.said(bob, "Answer: an easy one")

	// The first writes again: only the newer message is answered.
	_, err := s.sim.CustomerSays(ann, "no, another one")
	s.do(err)
	llm.asked(s, "no, another one")
	llm.answer("a hard one")
	llm.answer("no, another one")
	s.said(ann, "Answer: no, another one")

	// An answer that cannot be delivered for a while is not wanted any more when the customer has written again meanwhile.
	s.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
	late, err := s.sim.CustomerSays(bob, "is the API away?")
	s.do(err)
	llm.answer("is the API away?")
	eventually(s.T, "the answer is tried", func() bool {
		return slices.ContainsFunc(s.sim.Journal(), func(e cxsim.Entry) bool { return !e.CarriedOut })
	}, s.bridge, s.bot)
	newer, err := s.sim.CustomerSays(bob, "still away?")
	s.do(err)
	llm.answer("still away?")
	s.prints(late, "expired")
	s.sim.ClearFaults()
	s.said(bob, "Answer: still away?")
	s.prints(newer, "done")

	// While a human has the conversation, nothing is answered, not even what was being thought about.
	_, err = s.sim.CustomerSays(ann, "I want a human")
	s.do(err)
	llm.asked(s, "I want a human")
	s.says(s.sim.AgentSays(ann, "Here I am."))
	s.heard()
	llm.answer("I want a human")
	s.quiet(s.T, s.connect(s.T), s.made.bot, s.bot)

	judged(s.T, s.connect(s.T))
	wantTraces(s.T, s.connect(s.T))
	s.compare(map[int64][]string{
		ann: {"Answer: no, another one"},
		bob: {"Answer: an easy one", "Answer: still away?"},
	})
	if s.bot.printed(fmt.Sprintf("%s-answer-%d done", s.name, first.ID)) > 0 {
		s.Errorf("the answer to %q was sent although the customer had written again", first.Content)
	}
}

// heard waits until the bot has acknowledged each event: those that it thought about were given up.
func (s *script) heard() {
	js := s.connect(s.T)
	eventually(s.T, "the bot has heard each event", func() bool {
		return s.sim.WaitingDeliveries() == 0 && acknowledged(s.T, js, "CX_EVENTS", s.name)
	}, s.bridge, s.bot)
}

// asks starts a conversation.
func (s *script) asks(name, text string) (conversation int64, m cxsim.Message) {
	c, err := s.sim.NewConversation(cxsim.Visitor{Name: name, Email: name + "@example.test", Text: text})
	s.do(err)
	return c.ID, c.Messages[0]
}

// said waits until something was written by the API in a conversation.
func (s *script) said(conversation int64, text string) {
	eventually(s.T, text, func() bool { return slices.Contains(s.answers(conversation), text) }, s.bridge, s.bot)
}

// prints waits until the bot has told how the answer to a message ended.
func (s *script) prints(m cxsim.Message, status string) {
	line := fmt.Sprintf("%s-answer-%d %s", s.name, m.ID, status)
	eventually(s.T, line, func() bool { return s.bot.printed(line) > 0 }, s.bridge, s.bot)
}

func (s *script) compare(wanted map[int64][]string) {
	for conversation, answers := range wanted {
		if got := s.answers(conversation); !slices.Equal(got, answers) {
			s.Errorf("conversation %d was answered %q, want %q", conversation, got, answers)
		}
	}
}

// model is a language model that answers when it is told to.
type model struct {
	url string

	mu      sync.Mutex
	prompts map[string]int
	open    map[string]chan struct{}
}

func newModel(t *testing.T) *model {
	m := &model{prompts: map[string]int{}, open: map[string]chan struct{}{}}
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.prompts[string(body)]++
		m.mu.Unlock()
		select {
		case <-m.gate(string(body)):
			_, _ = io.WriteString(w, "Answer: "+string(body)) // a bot that has given up does not read it
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(func() { close(ended); s.Close() })
	m.url = s.URL
	return m
}

func (m *model) gate(prompt string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[prompt] == nil {
		m.open[prompt] = make(chan struct{})
	}
	return m.open[prompt]
}

// answer lets the model answer a prompt, now or when it is asked.
func (m *model) answer(prompt string) { close(m.gate(prompt)) }

// asked waits until the model has been asked.
func (m *model) asked(s *script, prompt string) {
	eventually(s.T, "the model is asked: "+prompt, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.prompts[prompt] > 0
	}, s.bridge, s.bot)
}
