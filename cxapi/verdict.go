package cxapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds [Error.RetryAfter], whatever the server asks for.
const MaxRetryAfter = time.Hour

// verdict is what a failure means.
type verdict struct {
	kind      Kind
	outcome   Outcome
	ambiguous bool
}

func later(k Kind) verdict { return verdict{kind: k, outcome: OutcomeLater} }
func never(k Kind) verdict { return verdict{kind: k, outcome: OutcomeNever} }

// doubtful is the verdict on a call that may have been carried out: one that may be repeated freely may be repeated.
func doubtful(k Kind, repeatable bool) verdict {
	if repeatable {
		return verdict{kind: k, outcome: OutcomeLater, ambiguous: true}
	}
	return verdict{kind: k, outcome: OutcomeUnknown, ambiguous: true}
}

// statusVerdict judges an answer whose status is not 2xx.
func statusVerdict(status int, repeatable bool) verdict {
	switch status {
	case http.StatusUnauthorized:
		return never(KindUnauthorized)
	case http.StatusForbidden:
		return never(KindForbidden)
	case http.StatusNotFound, http.StatusGone:
		return never(KindNotFound)
	case http.StatusTooManyRequests:
		return later(KindRateLimited)
	case http.StatusRequestTimeout:
		return later(KindTimeout)
	case http.StatusTooEarly, http.StatusServiceUnavailable:
		return later(KindUnavailable)
	case http.StatusGatewayTimeout:
		return doubtful(KindTimeout, repeatable)
	case http.StatusSeeOther: // "done, and here is more about it": a redirect that says that the call was carried out
		if !repeatable {
			return doubtful(KindRejected, false)
		}
	}
	if status >= 300 && status < 500 {
		return never(KindRejected)
	}
	return doubtful(KindUnavailable, repeatable)
}

// causeKind is the word for a failure below HTTP.
func causeKind(err error) Kind {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return KindCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.As(err, &network) && network.Timeout():
		return KindTimeout
	default:
		return KindConnection
	}
}

// retryAfter reads the header Retry-After, which holds seconds or a date. A date is taken relative to the server's own
// clock if the answer tells it.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if isInteger([]byte(strings.TrimLeft(value, "0"))) || strings.Trim(value, "0") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil && !strings.HasPrefix(value, "-") { // out of range
			return MaxRetryAfter
		}
		return boundRetryAfter(time.Duration(min(max(seconds, 0), int64(MaxRetryAfter/time.Second))) * time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0 // neither form: as if the server had not asked
	}
	if server, err := http.ParseTime(header.Get("Date")); err == nil {
		now = server
	}
	return boundRetryAfter(at.Sub(now))
}

func boundRetryAfter(d time.Duration) time.Duration { return min(max(d, 0), MaxRetryAfter) }
