package spool

import (
	"log/slog"
	"testing"
)

// TestTheSpoolSyncsEachMessage asks the server that keeps the messages: a power cut cannot be had in a test, and a killed process loses nothing
// that was written, synced or not.
func TestTheSpoolSyncsEachMessage(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), MaxBytes: minBytes}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if running := s.engine.server.NATS().JetStreamConfig(); running == nil || !running.SyncAlways {
		t.Errorf("JetStream runs with %+v", running)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
