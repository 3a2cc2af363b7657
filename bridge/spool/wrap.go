package spool

import (
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// subjectPrefix stands before the subjects of messages in the spool.
	subjectPrefix = "spool."
	// headerPrefix stands before the headers that mean something to NATS, which are for the bus and not for the spool.
	headerPrefix = "Spool-"
	reserved     = "nats-"
)

// wrap makes the message as it lies in the spool.
func wrap(msg *nats.Msg) *nats.Msg {
	wrapped := &nats.Msg{Subject: subjectPrefix + msg.Subject, Header: make(nats.Header, len(msg.Header)+1), Data: msg.Data}
	for name, values := range msg.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, reserved) || strings.HasPrefix(lower, strings.ToLower(headerPrefix)) {
			name = headerPrefix + name
		}
		wrapped.Header[name] = values
	}
	if id := msg.Header.Get(jetstream.MsgIDHeader); id != "" {
		wrapped.Header[jetstream.MsgIDHeader] = []string{id}
	}
	return wrapped
}

// unwrap makes the message as it was put.
func unwrap(raw *jetstream.RawStreamMsg) *nats.Msg {
	msg := &nats.Msg{Subject: strings.TrimPrefix(raw.Subject, subjectPrefix), Header: make(nats.Header, len(raw.Header)), Data: raw.Data}
	for name, values := range raw.Header {
		original, wrapped := strings.CutPrefix(name, headerPrefix)
		if wrapped || !strings.HasPrefix(strings.ToLower(name), reserved) {
			msg.Header[original] = values
		}
	}
	return msg
}

// sizeOf is about what a message takes on disk.
func sizeOf(msg *nats.Msg) uint64 {
	const record = 64
	size := record + len(msg.Subject) + len(msg.Data)
	for name, values := range msg.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return uint64(size)
}
