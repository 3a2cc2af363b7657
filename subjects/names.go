package subjects

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// DefaultPrefix is the prefix of all subjects unless another one is configured.
const DefaultPrefix = "cx"

// unknownEvent is the noun and verb of an event whose name does not fit into a subject.
const unknownEvent = "event.unknown"

var (
	prefixForm    = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)
	eventNameForm = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)+$`)
	commandToken  = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
)

// maxEventName is the length in bytes of the longest event name that becomes part of a subject.
const maxEventName = 100

// Names makes every subject and stream name below one prefix. The zero value is not usable; call [New].
type Names struct {
	prefix string
	stream string
}

// New returns the names below prefix: one or more tokens of lower-case letters, digits, '_' and '-', joined by dots. Streams are named
// after the prefix in upper case, with '_' for a dot.
func New(prefix string) (Names, error) {
	if !prefixForm.MatchString(prefix) || len(prefix) > 100 {
		return Names{}, fmt.Errorf("subject prefix %q: must be tokens of a-z, 0-9, '_' and '-' joined by '.', 100 characters at most", prefix)
	}
	return Names{prefix: prefix, stream: strings.ToUpper(strings.ReplaceAll(prefix, ".", "_"))}, nil
}

// Prefix returns the prefix that all names share.
func (n Names) Prefix() string { return n.prefix }

// Event returns the subject of a webhook event of the vendor: message_created becomes cx.message.created. A name that is not a noun and a
// verb joined by '_', that is longer than 100 bytes, or whose noun is reserved, goes to cx.event.unknown.
func (n Names) Event(name string) string { return n.prefix + "." + eventTokens(name) }

// KeyedEvent returns the subject of a webhook event when subjects are keyed: cx.event.<noun>.<verb>.<inbox id>.<conversation id>. Ids that
// are no tokens are replaced as [Token] says; a missing id is "-".
func (n Names) KeyedEvent(name, inboxID, conversationID string) string {
	return n.prefix + ".event." + eventTokens(name) + "." + keyToken(inboxID) + "." + keyToken(conversationID)
}

func keyToken(id string) string {
	if id == "" {
		return "-"
	}
	return Token(id)
}

func eventTokens(name string) string {
	if len(name) > maxEventName || !eventNameForm.MatchString(name) {
		return unknownEvent
	}
	noun, verb, _ := strings.Cut(name, "_")
	if reserved(noun) {
		return unknownEvent
	}
	return noun + "." + verb
}

func reserved(noun string) bool {
	switch noun {
	case "cmd", "result", "dead", "rpc", "schedule", "event":
		return true
	}
	return false
}

// Command returns the subject on which bots publish commands of kind k.
func (n Names) Command(k Kind) string { return n.prefix + ".cmd." + string(k) }

// ParseCommand takes a subject of the commands stream apart. The key is what follows the verb, such as the conversation id in
// cx.cmd.message.send.42, or empty. It reports false for a subject that is no command's. The kind is not necessarily a known one.
func (n Names) ParseCommand(subject string) (k Kind, key string, ok bool) {
	rest, found := strings.CutPrefix(subject, n.prefix+".cmd.")
	if !found {
		return "", "", false
	}
	tokens := strings.SplitN(rest, ".", 3)
	if len(tokens) < 2 || tokens[0] == "" || tokens[1] == "" {
		return "", "", false
	}
	if len(tokens) == 3 {
		key = tokens[2]
	}
	return Kind(tokens[0] + "." + tokens[1]), key, true
}

// Result returns the subject of the one result of a command. A kind that is not known keeps its tokens as far as they are safe.
func (n Names) Result(k Kind, commandID string) string {
	return n.prefix + ".result." + k.tokens() + "." + Token(commandID)
}

// DeadCommand returns the subject of the dead letters of commands of kind k.
func (n Names) DeadCommand(k Kind) string { return n.prefix + ".dead.cmd." + k.tokens() }

// DeadWebhook returns the subject of webhook bodies that could not be understood.
func (n Names) DeadWebhook() string { return n.prefix + ".dead.webhook.malformed" }

// RPC returns the request subject of the micro service for commands of kind k.
func (n Names) RPC(k Kind) string { return n.prefix + ".rpc." + string(k) }

// RPCSubject returns the request subject of another endpoint of the micro service, such as "inbox.list".
func (n Names) RPCSubject(endpoint string) string { return n.prefix + ".rpc." + endpoint }

// Schedule returns a subject for a delayed command; the name is the sender's own choice and must be a token.
func (n Names) Schedule(name string) string { return n.prefix + ".schedule.cmd." + name }

// EventSubjects returns the subjects of all events, for consumers: one for plain subjects, and one more when subjects are keyed.
func (n Names) EventSubjects(keyed bool) []string {
	all := []string{n.prefix + ".*.*"}
	if keyed {
		all = append(all, n.prefix+".event.*.*.*.*")
	}
	return all
}

// EventFilter returns the subjects on which events of one name arrive, both plain and keyed.
func (n Names) EventFilter(name string, keyed bool) []string {
	all := []string{n.Event(name)}
	if keyed {
		all = append(all, n.prefix+".event."+eventTokens(name)+".*.*")
	}
	return all
}

// EventsStream returns the name of the stream of webhook events.
func (n Names) EventsStream() string { return n.stream + "_EVENTS" }

// CommandsStream returns the name of the stream of commands.
func (n Names) CommandsStream() string { return n.stream + "_COMMANDS" }

// ResultsStream returns the name of the stream of results.
func (n Names) ResultsStream() string { return n.stream + "_RESULTS" }

// DeadStream returns the name of the stream of dead letters.
func (n Names) DeadStream() string { return n.stream + "_DEAD" }

// LedgerStream returns the name of the internal stream that remembers which commands were begun and how they ended.
func (n Names) LedgerStream() string { return n.stream + "_LEDGER" }

// BridgeBucket returns the name of the internal key-value bucket in which bridges agree on which of them carries out commands.
func (n Names) BridgeBucket() string { return n.stream + "_BRIDGE" }

// ContactsBucket returns the name of the internal key-value bucket that remembers contact ids.
func (n Names) ContactsBucket() string { return n.stream + "_CONTACTS" }

// Ledger returns a subject of the internal ledger stream. It does not begin with the prefix, so that whoever listens to "cx.>" is not
// told of the bridge's own bookkeeping.
func (n Names) Ledger(parts ...string) string {
	return "_" + n.prefix + ".ledger." + strings.Join(parts, ".")
}

// Token returns id if it is 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-', and else '~' followed by the base64url SHA-256 of it, so
// that any id can be a token of a subject.
func Token(id string) string {
	if isToken(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "~" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// isToken reports whether an id is a token as it is. It is asked several times for each command, for which a regular expression is slow.
func isToken(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return 1 <= len(id) && len(id) <= 64
}
