//go:build interop

package interop

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// TestEveryBotPlaysTheSameScript lets people talk to each bot in the same way, and looks at what it asked of the API.
func TestEveryBotPlaysTheSameScript(t *testing.T) {
	for _, b := range bots {
		t.Run(b.folder, func(t *testing.T) {
			m := b.make(t)
			w := newWorld(t)
			s := &script{T: t, world: w, bot: m.start(t, w), made: m}
			s.play()
			s.judge()
		})
	}
}

// script is one run of it.
type script struct {
	*testing.T
	*world
	made
	bot *process

	wanted   map[int64][]string // answers by conversation, in order
	commands []string           // ids of all commands
}

func (s *script) play() {
	s.wanted = map[int64][]string{}
	ann, bob := s.visitor("Ann", "hello"), s.visitor("Bob", "good morning")
	s.answered(ann, bob)

	for i := range 5 { // two conversations at once, each in order
		s.customer(ann, fmt.Sprintf("Ann %d – “ä\\n\" $HOME 'x' 100%%", i))
		s.customer(bob, fmt.Sprintf("Bob %d", i))
	}
	s.answered(ann, bob)

	s.says(s.sim.SystemSays(bob, "Rate us!"))
	s.says(s.sim.AgentNotes(bob, "a note among agents"))
	s.handOff(ann)
	s.restart(bob)

	s.do(s.sim.AgentReturns(ann))
	s.customer(ann, "are you the bot again?")
	s.answered(ann, bob)
}

// handOff has a customer ask for a human, and the bot has to keep quiet until it gets the conversation back.
func (s *script) handOff(conversation int64) {
	m, err := s.sim.CustomerSays(conversation, "agent")
	s.says(m, err)
	s.commands = append(s.commands, fmt.Sprintf("%s-handoff-%d", s.name, m.ID))
	eventually(s.T, "the conversation is with a human", func() bool {
		c, err := s.sim.Conversation(conversation)
		s.do(err)
		return c.WithHuman
	}, s.bridge, s.bot)
	s.says(s.sim.CustomerSays(conversation, "is a human there?"))
	s.says(s.sim.AgentSays(conversation, "Yes, I am Bo."))
	s.says(s.sim.CustomerSays(conversation, "good"))
}

// restart takes NATS away from under the bot; what a customer writes meanwhile waits.
func (s *script) restart(conversation int64) {
	s.world.bridge.stop(s.T)
	s.customer(conversation, "is anybody there?")
	s.startBridge(s.T)
	s.answered(conversation)
	s.customer(conversation, "what happened?")
	s.answered(conversation)
}

// visitor starts a conversation.
func (s *script) visitor(name, text string) int64 {
	c, err := s.sim.NewConversation(cxsim.Visitor{Name: name, Email: name + "@example.test", Text: text})
	s.do(err)
	s.expect(c.ID, c.Messages[0])
	return c.ID
}

// customer writes something that is to be answered.
func (s *script) customer(conversation int64, text string) {
	m, err := s.sim.CustomerSays(conversation, text)
	s.do(err)
	s.expect(conversation, m)
}

func (s *script) expect(conversation int64, m cxsim.Message) {
	s.wanted[conversation] = append(s.wanted[conversation], "You wrote: "+m.Content)
	s.commands = append(s.commands, fmt.Sprintf("%s-answer-%d", s.name, m.ID))
}

// answered waits until the bot has written as often as it should.
func (s *script) answered(conversations ...int64) {
	for _, c := range conversations {
		eventually(s.T, fmt.Sprintf("the answers in conversation %d", c), func() bool {
			return len(s.answers(c)) >= len(s.wanted[c])
		}, s.bridge, s.bot)
	}
}

// answers is what was written by the API in a conversation, in order.
func (s *script) answers(conversation int64) []string {
	var found []string
	for _, e := range s.sim.Journal() {
		if e.Op == cxsim.OpSendMessage && e.CarriedOut && e.ConversationID == conversation {
			found = append(found, e.Content)
		}
	}
	return found
}

// judge waits until all is said and done, and looks at the simulator's journal and at what the bot knows of its commands.
func (s *script) judge() {
	js := s.connect(s.T)
	s.quiet(s.T, js, s.made.bot, s.bot)
	handoffs := map[int64]int{}
	for _, e := range s.sim.Journal() {
		switch e.Op {
		case cxsim.OpSendMessage:
		case cxsim.OpDeliverToAgent:
			handoffs[e.ConversationID]++
		default:
			s.Errorf("the API was asked for %s", e.Op)
		}
	}
	for conversation, wanted := range s.wanted {
		if got := s.answers(conversation); !slices.Equal(got, wanted) {
			s.Errorf("conversation %d was answered %q, want %q", conversation, got, wanted)
		}
	}
	if len(handoffs) != 1 || handoffs[1] != 1 {
		s.Errorf("handed off (times by conversation): %v, want conversation 1, once", handoffs)
	}
	if n := stored(s.T, js, "CX_COMMANDS"); n != uint64(len(s.commands)) {
		s.Errorf("there are %d commands on the bus, want %d", n, len(s.commands))
	}
	if n := stored(s.T, js, "CX_DEAD"); n != 0 {
		s.Errorf("there are %d dead letters", n)
	}
	judged(s.T, js)
	wantTraces(s.T, js)
	for _, id := range s.commands {
		eventually(s.T, "the bot knows the result of "+id, func() bool { return s.bot.printed(id+" done") > 0 }, s.bot)
	}
}

func (s *script) says(_ cxsim.Message, err error) { s.do(err) }

func (s *script) do(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
