package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
)

// Aside is a message that was put aside, as it is in its file.
type Aside struct {
	// At is when it was put aside.
	At time.Time `json:"at"`
	// Reason is why, for people.
	Reason string `json:"reason"`
	// Subject, Header and Data are the message; Data is base64 in the file.
	Subject string      `json:"subject"`
	Header  nats.Header `json:"header"`
	Data    []byte      `json:"data"`
}

// PutAside writes a message that can never be stored on the bus into a file of its own, in the directory "aside" of the spool, for
// an operator to look at. When it returns nil, the file is synced to disk and the message can be acknowledged, so that those
// behind it can go on. It returns the name of the file.
func (s *Spool) PutAside(msg *nats.Msg, reason string) (string, error) {
	if err := os.MkdirAll(s.aside, 0o700); err != nil {
		return "", fmt.Errorf("spool: put aside: %w", err)
	}
	now := time.Now().UTC()
	content, err := json.MarshalIndent(Aside{At: now, Reason: reason, Subject: msg.Subject, Header: msg.Header, Data: msg.Data}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("spool: put aside: %w", err)
	}
	file, err := os.CreateTemp(s.aside, now.Format("20060102T150405.000Z-")+"*.json")
	if err != nil {
		return "", fmt.Errorf("spool: put aside: %w", err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = errors.Join(syncDir(s.aside), syncDir(filepath.Dir(s.aside)))
	}
	if err != nil {
		return "", fmt.Errorf("spool: put aside: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return file.Name(), nil
}
