package webhook

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// problem is an answer that says no, as RFC 9457 describes it. It tells the sender what it did wrong and nothing of the inside.
type problem struct {
	status int
	reason subjects.Reason // for logs and traces
	detail string
	retry  time.Duration // 0: without Retry-After
	allow  string        // methods that are allowed
	end    bool          // the connection is closed, because the rest of the request was not read
}

// The answers that are not 200.
var (
	problemNotFound  = &problem{status: http.StatusNotFound, reason: subjects.ReasonNotFound, detail: "there is nothing here"}
	problemMethod    = &problem{status: http.StatusMethodNotAllowed, reason: subjects.ReasonRejected, detail: "webhooks are sent by POST", allow: http.MethodPost}
	problemNetwork   = &problem{status: http.StatusForbidden, reason: subjects.ReasonForbidden, detail: "requests from this network are not taken", end: true}
	problemToken     = &problem{status: http.StatusUnauthorized, reason: subjects.ReasonUnauthorized, detail: "the path token or the signature is not valid", end: true}
	problemSignature = &problem{status: http.StatusUnauthorized, reason: subjects.ReasonUnauthorized, detail: "the path token or the signature is not valid"}
	problemTooLarge  = &problem{status: http.StatusRequestEntityTooLarge, reason: subjects.ReasonRejected, detail: "the body is too large", end: true}
	problemForBus    = &problem{status: http.StatusRequestEntityTooLarge, reason: subjects.ReasonRejected, detail: "the body is too large"}
	problemSlow      = &problem{status: http.StatusRequestTimeout, reason: subjects.ReasonTimeout, detail: "the body did not arrive in time", end: true}
	problemCut       = &problem{status: http.StatusBadRequest, reason: subjects.ReasonConnection, detail: "the body is incomplete", end: true}
	problemMalformed = &problem{status: http.StatusBadRequest, reason: subjects.ReasonMalformed, detail: "the body must be a JSON object that names an event"}
	problemBusy      = &problem{status: http.StatusTooManyRequests, reason: subjects.ReasonRateLimited, detail: "too many requests at once", retry: time.Second, end: true}
	problemFull      = &problem{status: http.StatusTooManyRequests, reason: subjects.ReasonUnavailable, detail: "no more events can be taken for now", retry: 5 * time.Second}
	problemStorage   = &problem{status: http.StatusInternalServerError, reason: subjects.ReasonUnavailable, detail: "the event could not be stored"}
	problemInternal  = &problem{status: http.StatusInternalServerError, reason: subjects.ReasonInternal, detail: "something went wrong"}
)

func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.retry.Seconds())))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.end {
		h.Set("Connection", "close")
	}
	w.WriteHeader(p.status)
	// Whether the sender still reads it makes no difference to anything.
	_, _ = fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"detail":%q}`+"\n", http.StatusText(p.status), p.status, p.detail)
}
