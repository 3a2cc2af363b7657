package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// read gathers everything that is known when the storm is over.
func (w *world) read(ctx context.Context, h *history) error {
	h.Webhooks, _ = w.balancer.record()
	for i, e := range w.sim.Journal() {
		h.Calls = append(h.Calls, call{Seq: int64(i + 1), Time: e.Time, Op: string(e.Op), ID: marked(e.Body), Conv: e.ConversationID, CarriedOut: e.CarriedOut})
	}
	readers := map[string]func(message) error{
		"CX_EVENTS": func(m message) error {
			key, _ := eventKey(m.data)
			h.Events = append(h.Events, stored{Seq: m.seq, Time: m.at, Key: key, Body: hash(m.data)})
			return nil
		},
		"CX_COMMANDS": func(m message) error {
			id := m.header.Get(nats.MsgIdHdr)
			if id == "" {
				id = m.header.Get("ce-id")
			}
			h.Commands = append(h.Commands, stored{Seq: m.seq, Time: m.at, Key: id})
			return nil
		},
		"CX_RESULTS": h.addResult,
		"CX_DEAD": func(m message) error {
			l := letter{Body: hash(m.data)}
			if strings.HasPrefix(m.subject, "cx.dead.cmd.") {
				l.ID, l.Status = m.header.Get("Cx-Command-Id"), m.header.Get("Cx-Status")
			}
			h.Letters = append(h.Letters, l)
			return nil
		},
		"CX_LEDGER": h.addEntry,
	}
	for _, stream := range sorted(readers) {
		if err := readAll(ctx, w.js, stream, readers[stream]); err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
	}
	for _, b := range w.bridges {
		status, body := b.ask(ctx, "/readyz")
		h.Ready = append(h.Ready, readying{b.name, status, body})
	}
	return nil
}

func (h *history) addResult(m message) error {
	var r struct {
		CommandID string `json:"command_id"`
		Status    string `json:"status"`
		Reason    string `json:"reason"`
	}
	if err := json.Unmarshal(m.data, &r); err != nil {
		return fmt.Errorf("%s: %w", m.subject, err)
	}
	h.Results = append(h.Results, result{ID: r.CommandID, Status: r.Status, Reason: r.Reason, Seq: m.seq, Time: m.at})
	return nil
}

// addEntry keeps records of claims and outcomes; those of epochs have no command.
func (h *history) addEntry(m message) error {
	var e struct {
		CommandID string `json:"command_id"`
		Key       string `json:"key"`
		Epoch     uint64 `json:"epoch"`
		Result    struct {
			CommandID string `json:"command_id"`
		} `json:"result"`
	}
	if len(m.data) == 0 {
		return nil
	}
	if err := json.Unmarshal(m.data, &e); err != nil {
		return fmt.Errorf("%s: %w", m.subject, err)
	}
	if e.Key != "" {
		h.Ledger = append(h.Ledger, entry{Seq: m.seq, Time: m.at, Key: e.Key, Epoch: e.Epoch, ID: e.CommandID + e.Result.CommandID})
	}
	return nil
}

// message is one of a stream.
type message struct {
	subject string
	seq     uint64
	at      time.Time
	header  nats.Header
	data    []byte
}

// readAll hands every message that a stream holds to a function, in order. A consumer that stands still is given up, and another one goes on.
func readAll(ctx context.Context, js jetstream.JetStream, stream string, each func(message) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var last, read uint64
	for {
		s, err := js.Stream(ctx, stream)
		if err == nil {
			last = s.CachedInfo().State.LastSeq
			break
		}
		if failed := sleep(ctx, 200*time.Millisecond); failed != nil {
			return errors.Join(err, failed)
		}
	}
	for read < last {
		var broken error
		err := readFrom(ctx, js, stream, read+1, last, func(m message) bool {
			read, broken = m.seq, each(m)
			return broken == nil
		})
		switch {
		case broken != nil:
			return broken
		case err == nil:
			return nil
		}
		if failed := sleep(ctx, 200*time.Millisecond); failed != nil {
			return errors.Join(err, failed)
		}
	}
	return nil
}

func readFrom(ctx context.Context, js jetstream.JetStream, stream string, first, last uint64, each func(message) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first})
	if err != nil {
		return err
	}
	if info := c.CachedInfo(); info != nil && info.NumPending == 0 {
		return nil // what is left of the stream ends before: a ledger's claims are given back
	}
	messages, err := c.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(10 * time.Second))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if !each(message{m.Subject(), meta.Sequence.Stream, meta.Timestamp, m.Headers(), m.Data()}) {
			return nil
		}
		if meta.Sequence.Stream >= last || meta.NumPending == 0 {
			return nil
		}
	}
}
