package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cxbridge/cxbridge/subjects"
)

const (
	// maxReplyTo is how long a subject for a reply may be, in bytes. A server ends the connection of who names one that is longer than its
	// max_control_line, 4,096 bytes by default.
	maxReplyTo = 1024
	// maxKey is how long an order key may be that the ledger keeps as it is.
	maxKey = 512
)

// order is a command as it was read from its message, or what is wrong with it.
type order struct {
	id      string
	kind    subjects.Kind
	command subjects.Command
	key     string // its lane
	expires time.Time
	onlyIf  []string
	replyTo string

	invalid subjects.Reason // why it is never sent; empty if it is well formed
	detail  string
}

// reader turns messages into orders.
type reader struct {
	names    subjects.Names
	tenant   string
	prefixes []string // under which replies may be asked for
	stream   string   // for command ids, with the next
	created  time.Time
}

// read never fails: a command that is malformed is an order that says so.
func (r reader) read(subject string, header header, body []byte, seq uint64) order {
	o := order{id: r.commandID(header, seq), replyTo: header.Get(subjects.HeaderReplyTo)}
	kind, key, ok := r.names.ParseCommand(subject)
	o.kind = kind
	if !ok {
		return o.malformed(seq, fmt.Errorf("%s is no subject of a command", subject))
	}
	if o.replyTo != "" && !r.mayReply(o.replyTo) {
		o.replyTo = ""
		return o.malformed(seq, fmt.Errorf("%s: must be a subject under %s, of at most %d bytes", subjects.HeaderReplyTo, strings.Join(r.prefixes, " or "), maxReplyTo))
	}
	if !utf8.ValidString(o.id) {
		return o.malformed(seq, errors.New("the command id must be UTF-8"))
	}
	if header.Get(subjects.HeaderSchedule) != "" { // the server delivers it at once, and then what it makes of it at its time
		return o.malformed(seq, fmt.Errorf("%s: a delayed command belongs on a subject such as %s; this one is not carried out before its time",
			subjects.HeaderSchedule, r.names.Schedule("<name>")))
	}
	command, err := subjects.Decode(kind, body)
	if err != nil {
		return o.malformed(seq, err)
	}
	o.command = command
	if command.Tenant != "" && !strings.EqualFold(command.Tenant, r.tenant) {
		o = o.malformed(seq, fmt.Errorf("tenant_domain: %q is not the tenant of this bridge", command.Tenant))
		o.invalid = subjects.ReasonTenantMismatch
		return o
	}
	if err := errors.Join(o.checkKey(key), o.readHeaders(header)); err != nil {
		return o.malformed(seq, err)
	}
	if o.key = command.OrderKey(); len(o.key) > maxKey {
		o.key = "long/" + subjects.Token(o.key)
	}
	return o
}

// malformed makes an order of a command that is never sent; it has a lane of its own, as it waits for nobody.
func (o order) malformed(seq uint64, err error) order {
	o.invalid, o.detail = subjects.ReasonMalformed, strings.ReplaceAll(err.Error(), "\n", "; ")
	o.key = "invalid/" + strconv.FormatUint(seq, 10)
	return o
}

func (r reader) commandID(header header, seq uint64) string {
	for _, name := range []string{subjects.HeaderMsgID, subjects.HeaderCEID} {
		if id := header.Get(name); id != "" {
			return id
		}
	}
	return r.stream + "-" + strconv.FormatInt(r.created.UnixNano(), 10) + "-" + strconv.FormatUint(seq, 10)
}

func (r reader) mayReply(subject string) bool {
	return len(subject) <= maxReplyTo && plainSubject(subject) && slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(subject, p) })
}

// checkKey compares the key in the subject with the conversation in the body.
func (o order) checkKey(key string) error {
	id := o.command.ConversationID().String()
	if key == "" || id == "" || key == id || key == subjects.Token(id) {
		return nil
	}
	return fmt.Errorf("conversation_id: is %q in the body and %q in the subject", id, key)
}

func (o *order) readHeaders(header header) error {
	if text := header.Get(subjects.HeaderExpiresAt); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("%s: must be an RFC 3339 time, not %q", subjects.HeaderExpiresAt, text)
		}
		o.expires = at
	}
	text := header.Get(subjects.HeaderOnlyIf)
	if text == "" {
		return nil
	}
	if o.command.ConversationID().IsZero() {
		return fmt.Errorf("%s: %s is not about a conversation that exists", subjects.HeaderOnlyIf, o.kind)
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part != subjects.OnlyIfStillWithBot && part != subjects.OnlyIfNoNewerCustomer {
			return fmt.Errorf("%s: must be %s or %s, not %q", subjects.HeaderOnlyIf, subjects.OnlyIfStillWithBot, subjects.OnlyIfNoNewerCustomer, part)
		}
		o.onlyIf = append(o.onlyIf, part)
	}
	return nil
}
