package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"

	"github.com/cxbridge/cxbridge/subjects"
)

const (
	metMessages = 100_000 // so many of the newest events are looked through for those about messages, of which there are very many
	metKept     = 20_000  // contacts of each generation
)

// met knows which contacts were seen in events. It reads them only when the API says that a contact exists whose id the directory does not
// have: at no other time do events cost anything. DESIGN.md tells why.
type met struct {
	js    jetstream.JetStream
	names subjects.Names

	turn    chan struct{} // holds one token
	stream  time.Time     // when the stream was made
	few     scan          // the events that there are about one of for each contact and conversation
	many    scan          // those about messages
	used    time.Time
	young   acquaintances
	elderly acquaintances // those before the young
}

// scan is how far the events of some names have been read.
type scan struct {
	events []string
	newest uint64 // of the stream's messages, how many are looked at; 0 for all
	next   uint64 // sequence
}

// acquaintances are contacts, by address and by id.
type acquaintances struct {
	byAddress map[string]acquaintance
	byID      map[string]acquaintance
}

// acquaintance is what an event told of a contact.
type acquaintance struct {
	id           subjects.ID
	email, phone string
	seq          uint64 // of the event
}

func newMet(js jetstream.JetStream, names subjects.Names) *met {
	m := &met{js: js, names: names, turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	m.reset()
	return m
}

func (m *met) reset() {
	m.few = scan{events: []string{"contact_created", "contact_updated", subjects.EventConversationCreated, "webwidget_triggered"}}
	m.many = scan{events: []string{subjects.EventMessageCreated}, newest: metMessages}
	m.young, m.elderly = acquaintances{}, acquaintances{}
}

// find returns the id of the contact that had an address, an email or a phone number, when an event showed it last; a zero id if none did.
func (m *met) find(ctx context.Context, address string) (subjects.ID, error) {
	select {
	case <-m.turn:
	case <-ctx.Done():
		return subjects.ID{}, ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	m.used = time.Now()
	for _, s := range []*scan{&m.few, &m.many} {
		if err := m.read(ctx, s); err != nil {
			return subjects.ID{}, fmt.Errorf("look for contact in events: %w", err)
		}
		if id := m.known(address); !id.IsZero() {
			return id, nil
		}
	}
	return subjects.ID{}, nil
}

// known looks an address up. A contact that was seen with another address of the kind since then has it no longer.
func (m *met) known(address string) subjects.ID {
	address = strings.ToLower(address)
	seen, ok := m.young.byAddress[address]
	if !ok {
		if seen, ok = m.elderly.byAddress[address]; !ok {
			return subjects.ID{}
		}
	}
	now, ok := m.young.byID[seen.id.String()]
	if !ok {
		now = m.elderly.byID[seen.id.String()]
	}
	moved := now.email != "" && now.email != address
	if !strings.Contains(address, "@") {
		moved = now.phone != "" && now.phone != address
	}
	if now.seq > seen.seq && moved {
		return subjects.ID{}
	}
	return seen.id
}

// read takes the events of a scan that were stored until now. What it has taken when it fails is not read again.
func (m *met) read(ctx context.Context, s *scan) error {
	stream, err := m.js.Stream(ctx, m.names.EventsStream())
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	if !info.Created.Equal(m.stream) { // it was deleted and made anew, and begins with sequence 1
		m.reset()
		m.stream = info.Created
	}
	from, last := max(s.next, info.State.FirstSeq, 1), info.State.LastSeq
	if s.newest > 0 && last > s.newest {
		from = max(from, last-s.newest+1)
	}
	if from > last {
		return nil
	}
	keyed := slices.Contains(info.Config.Subjects, m.names.EventSubjects(true)[1])
	var filter []string
	for _, name := range s.events {
		filter = append(filter, m.names.EventFilter(name, keyed)...)
	}
	consumer, err := m.js.CreateConsumer(ctx, m.names.EventsStream(), jetstream.ConsumerConfig{
		FilterSubjects: filter, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: readIdle,
	})
	if err != nil {
		return err
	}
	defer m.drop(ctx, consumer)
	if err := m.takeAll(ctx, s, consumer); err != nil {
		return err
	}
	s.next = max(s.next, last+1)
	return nil
}

// drop deletes a consumer; if that fails, the server does so when it is idle.
func (m *met) drop(ctx context.Context, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = m.js.DeleteConsumer(ctx, m.names.EventsStream(), consumer.CachedInfo().Name)
}

// takeAll takes what a new consumer has.
func (m *met) takeAll(ctx context.Context, s *scan, consumer jetstream.Consumer) error {
	expected := uint64(1)
	for pending := consumer.CachedInfo().NumPending; expected <= pending; {
		before := expected
		if err := m.takeSome(ctx, s, consumer, int(min(pending-expected+1, readBatch)), &expected); err != nil {
			return err
		}
		if expected == before {
			return errReadingCut
		}
	}
	return nil
}

func (m *met) takeSome(ctx context.Context, s *scan, consumer jetstream.Consumer, n int, expected *uint64) error {
	patience, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	batch, err := consumer.Fetch(n, jetstream.FetchContext(patience))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != *expected {
			return errReadingCut
		}
		*expected++
		s.next = meta.Sequence.Stream + 1
		m.take(msg, meta.Sequence.Stream)
	}
	return batch.Error()
}

// take learns the contacts of an event. They stand in several places, all of which may be missing.
func (m *met) take(msg jetstream.Msg, seq uint64) {
	body := msg.Data()
	name := msg.Headers().Get(subjects.HeaderEvent)
	if strings.HasPrefix(name, "contact_") {
		m.meet(gjson.ParseBytes(body), seq)
	}
	places := gjson.GetManyBytes(body, "contact", "meta.sender", "conversation.meta.sender", "sender")
	if kind := places[3].Get("type").String(); name == subjects.EventMessageCreated && kind == "" && msg.Headers().Get(subjects.HeaderMessageType) != "incoming" {
		places = places[:3] // somebody else's message: only a contact has no type
	}
	for _, place := range places {
		if kind := place.Get("type").String(); kind == "" || strings.EqualFold(kind, "contact") {
			m.meet(place, seq)
		}
	}
}

// meet learns a contact. The older generation is forgotten when the younger one is full.
func (m *met) meet(contact gjson.Result, seq uint64) {
	id, err := subjects.ParseID([]byte(contact.Get("id").Raw))
	if err != nil || id.IsZero() {
		return
	}
	a := acquaintance{id: id, email: text(contact, "email"), phone: text(contact, "phone_number"), seq: seq}
	if a.email == "" && a.phone == "" {
		return
	}
	if len(m.young.byID) >= metKept || m.young.byID == nil {
		m.young, m.elderly = acquaintances{byAddress: map[string]acquaintance{}, byID: map[string]acquaintance{}}, m.young
	}
	if m.young.byID[id.String()].seq <= seq && m.elderly.byID[id.String()].seq <= seq {
		m.young.byID[id.String()] = a
	}
	for _, address := range []string{a.email, a.phone} {
		if address != "" && m.young.byAddress[address].seq <= seq && m.elderly.byAddress[address].seq <= seq {
			m.young.byAddress[address] = a
		}
	}
}

// text is a member in lower case, empty if it is no text.
func text(object gjson.Result, name string) string {
	member := object.Get(name)
	if member.Type != gjson.String {
		return ""
	}
	return strings.ToLower(strings.Clone(member.Str))
}

// rest forgets everything when nobody has asked for a while.
func (m *met) rest(now time.Time) {
	select {
	case <-m.turn:
	default:
		return // it is needed right now
	}
	defer func() { m.turn <- struct{}{} }()
	if !m.used.IsZero() && now.Sub(m.used) >= readIdle {
		m.reset()
		m.used = time.Time{}
	}
}
