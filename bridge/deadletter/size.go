package deadletter

import (
	"encoding/json"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// The headers of a stored message may have 64 KiB in all, and those of the original may have nearly that. What a letter adds is
// bounded, and the original's are cut if they do not fit beside it.
const (
	maxDetail    = 2 << 10
	maxHistory   = 16 << 10
	maxCommandID = 1 << 10
	maxValue     = 512
)

// headerID is a command id as it stands in headers: a longer one is replaced as [subjects.Token] says.
func headerID(commandID string) string {
	if len(commandID) > maxCommandID {
		return subjects.Token(commandID)
	}
	return commandID
}

// history tells the attempts, the latest if all together are too long.
func (l Letter) history() (string, error) {
	latest := l.History
	if latest == nil {
		latest = []subjects.Attempt{}
	}
	for {
		encoded, err := json.Marshal(latest)
		text := ascii(string(encoded))
		if err != nil || len(text) <= maxHistory {
			return text, err
		}
		latest = latest[(len(latest)+1)/2:]
	}
}

// cutValues shortens the values of headers. What was too long for a command's precondition stays there, and stays wrong.
func cutValues(header nats.Header) nats.Header {
	short := make(nats.Header, len(header))
	for name, values := range header {
		for _, value := range values {
			short[name] = append(short[name], value[:min(len(value), maxValue)])
		}
	}
	return short
}

// onlyOwn leaves only those that mean something to the bridge.
func onlyOwn(header nats.Header) nats.Header {
	few := nats.Header{}
	for name, values := range cutValues(header) {
		if strings.HasPrefix(name, "Cx-") || strings.HasPrefix(name, "ce-") {
			few[name] = values[:1]
		}
	}
	return few
}

// onlyConditions leaves what a replay must not lose.
func onlyConditions(header nats.Header) nats.Header {
	few := nats.Header{}
	for _, name := range []string{subjects.HeaderExpiresAt, subjects.HeaderOnlyIf, subjects.HeaderReplyTo} {
		if values := cutValues(header)[name]; len(values) > 0 {
			few[name] = values[:1]
		}
	}
	return few
}
