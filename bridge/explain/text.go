package explain

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

func claimText(c ledger.Claim) string {
	text := fmt.Sprintf("claimed by the bridge of epoch %d", uint32(c.Epoch)) // the time above it says nothing to people
	if c.Attempts > 0 {
		text += fmt.Sprintf(", after %d earlier calls", c.Attempts)
	}
	if c.Key != "" {
		text += ", in the lane " + subjects.LaneName(c.Key)
	}
	return text
}

func attemptText(a subjects.Attempt) string {
	answer := "no answer of the API"
	if a.HTTPStatus > 0 {
		answer = fmt.Sprintf("the API answered %d", a.HTTPStatus)
	}
	return joined(answer, string(a.Reason), a.Detail)
}

func ending(r subjects.Result) string {
	text := reasonText(r.Status, r.Reason, r.Detail)
	if id := r.MessageID.String(); id != "" {
		text += ", message " + id
	}
	if r.Attempts != 1 {
		return fmt.Sprintf("%s, after %d calls", text, r.Attempts)
	}
	return text + ", after 1 call"
}

func reasonText(status subjects.Status, reason subjects.Reason, detail string) string {
	return joined(string(status), string(reason), detail)
}

// joined makes "what (reason): detail".
func joined(what, reason, detail string) string {
	if reason != "" {
		what = strings.TrimSpace(what + " (" + reason + ")")
	}
	if detail != "" {
		what += ": " + detail
	}
	return what
}

func eventText(h nats.Header) string {
	text := "event " + decoded(h, subjects.HeaderEvent)
	for _, part := range []struct{ words, header string }{
		{" of message ", subjects.HeaderMessageID}, {" in conversation ", subjects.HeaderConversationID}, {", written by ", subjects.HeaderOrigin},
		{", echo of command ", subjects.HeaderEchoOf}, {", received at ", subjects.HeaderReceivedAt},
	} {
		if value := decoded(h, part.header); value != "" {
			text += part.words + value
		}
	}
	return text
}

func conditions(h nats.Header) string {
	text := ""
	for _, part := range []struct{ words, header string }{
		{", a replay of ", subjects.HeaderReplayOf}, {", expires at ", subjects.HeaderExpiresAt}, {", only if ", subjects.HeaderOnlyIf},
		{", reply to ", subjects.HeaderReplyTo},
	} {
		if value := h.Get(part.header); value != "" {
			text += part.words + value
		}
	}
	return text
}

func scheduleText(h nats.Header) string {
	return fmt.Sprintf("to be published on %s %s", h.Get(subjects.HeaderScheduleTarget), h.Get(subjects.HeaderSchedule))
}
