package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// recordVersion is raised when a record can no longer be understood by a bridge that knows only the former version. Members that are
// merely added do not raise it, because readers ignore what they do not know.
const recordVersion = 1

// claimRecord is the body of claim.<token> and claim.<token>.<sequence>: a claim, or what stands in its place.
type claimRecord struct {
	Version     int            `json:"v"`
	CommandID   string         `json:"command_id"`
	Nonce       string         `json:"nonce,omitempty"`
	Epoch       uint64         `json:"epoch"`
	Kind        subjects.Kind  `json:"kind"`
	Key         string         `json:"key,omitempty"`
	MessageType string         `json:"message_type,omitempty"`
	Fingerprint string         `json:"fingerprint,omitempty"`
	Attempts    int            `json:"attempts,omitempty"`
	After       uint64         `json:"after,omitempty"`    // sequence of the record before it
	Outcome     *outcomeRecord `json:"outcome,omitempty"`  // of a command that ended without holding a claim
	Released    *releaseRecord `json:"released,omitempty"` // of a claim that was given back
}

// releaseRecord tells that the calls under a claim were certainly not carried out, or may be repeated.
type releaseRecord struct {
	Unsure  bool               `json:"unsure,omitempty"`
	Spent   int64              `json:"spent_ms,omitempty"`
	History []subjects.Attempt `json:"history,omitempty"`
}

// outcomeRecord is the body of done.<token>.
type outcomeRecord struct {
	Version     int                `json:"v"`
	Epoch       uint64             `json:"epoch"`
	Result      *subjects.Result   `json:"result"`
	Key         string             `json:"key,omitempty"`
	ReplyTo     string             `json:"reply_to,omitempty"`
	DeadLetter  bool               `json:"dead_letter,omitempty"`
	History     []subjects.Attempt `json:"history,omitempty"`
	MessageID   string             `json:"message_id,omitempty"`
	Fingerprint string             `json:"fingerprint,omitempty"`

	encoded json.RawMessage // Result, if it has been encoded, as it is published, too
}

// encode encodes an outcome; the result, which is encoded already and most of it, is not gone over again.
func (r *outcomeRecord) encode() ([]byte, error) {
	if r.encoded == nil {
		return json.Marshal(r)
	}
	rest := struct {
		Result any `json:"result,omitempty"`
		plainOutcome
	}{plainOutcome: plainOutcome(*r)}
	body, err := json.Marshal(rest)
	if err != nil {
		return nil, err
	}
	return slices.Concat(body[:len(body)-1], []byte(`,"result":`), r.encoded, body[len(body)-1:]), nil
}

// plainOutcome is an outcomeRecord for encoding without its result.
type plainOutcome outcomeRecord

// epochRecord is the body of epoch.<part>.
type epochRecord struct {
	Version int    `json:"v"`
	Epoch   uint64 `json:"epoch"`
}

func (c Claim) record() claimRecord {
	return claimRecord{
		Version: recordVersion, CommandID: c.CommandID, Nonce: c.Nonce, Epoch: c.Epoch, Kind: c.Kind, Key: c.Key,
		MessageType: c.MessageType, Fingerprint: c.Fingerprint, Attempts: c.Attempts, After: c.After,
	}
}

func (r claimRecord) progress() Progress {
	return Progress{
		Attempts: r.Attempts, Unsure: r.Released.Unsure, Spent: time.Duration(r.Released.Spent) * time.Millisecond, History: r.Released.History,
	}
}

func (r claimRecord) claim(seq uint64, at time.Time) Claim {
	return Claim{
		CommandID: r.CommandID, Nonce: r.Nonce, Epoch: r.Epoch, Kind: r.Kind, Key: r.Key, MessageType: r.MessageType,
		Fingerprint: r.Fingerprint, Attempts: r.Attempts, After: r.After, Seq: seq, At: at,
	}
}

func (o *Outcome) record(epoch uint64) *outcomeRecord {
	return &outcomeRecord{
		Version: recordVersion, Epoch: epoch, Result: &o.Result, encoded: o.encoded, Key: o.Key, ReplyTo: o.ReplyTo, DeadLetter: o.DeadLetter, History: o.History,
		MessageID: o.MessageID, Fingerprint: o.Fingerprint,
	}
}

func (r *outcomeRecord) outcome(seq uint64, at time.Time) *Outcome {
	result := r.Result
	if result == nil {
		result = new(subjects.Result)
	}
	return &Outcome{
		Result: *result, Key: r.Key, ReplyTo: r.ReplyTo, DeadLetter: r.DeadLetter, History: r.History, MessageID: r.MessageID,
		Fingerprint: r.Fingerprint, Seq: seq, At: at,
	}
}

// makerRecord is the part of an outcome that tells which message a command made.
type makerRecord struct {
	Version   int    `json:"v"`
	MessageID string `json:"message_id"`
	Result    struct {
		CommandID string `json:"command_id"`
	} `json:"result"`
}

func (r claimRecord) version() int   { return r.Version }
func (r outcomeRecord) version() int { return r.Version }
func (r epochRecord) version() int   { return r.Version }
func (r makerRecord) version() int   { return r.Version }

// read decodes a record of the ledger and refuses one of a later version, whose meaning may have changed.
func read[T interface{ version() int }](subject string, body []byte) (T, error) {
	var record T
	if err := json.Unmarshal(body, &record); err != nil {
		return record, fmt.Errorf("%w %s: %w", ErrUnreadable, subject, err)
	}
	if v := record.version(); v != recordVersion {
		return record, fmt.Errorf("%w %s: it has version %d instead of %d, so another version of the bridge wrote it", ErrUnreadable, subject, v, recordVersion)
	}
	return record, nil
}
