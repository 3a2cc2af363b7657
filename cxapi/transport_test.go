package cxapi

import (
	"errors"
	"io"
	"net"
	"testing"
)

// What a sealed connection said about its being written to stays true.
func TestSealedConnectionWritesNoMore(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	conn := &watchedConn{Conn: ours}
	if conn.seal(conn.mark()) {
		t.Error("said to be written to before it was")
	}
	if n, err := conn.Write([]byte("late")); n != 0 || !errors.Is(err, errSealed) {
		t.Errorf("wrote %d bytes: %v", n, err)
	}
	theirs.Close()
}

func TestWriteUnderWayCounts(t *testing.T) {
	ours, theirs := net.Pipe()
	conn := &watchedConn{Conn: ours}
	done := make(chan error)
	go func() {
		_, err := conn.Write([]byte("request"))
		done <- err
	}()
	if _, err := io.ReadFull(theirs, make([]byte, 1)); err != nil { // the write is under way, and stays so
		t.Fatal(err)
	}
	if !conn.seal(0) {
		t.Error("a write under way did not count")
	}
	theirs.Close()
	if err := <-done; err == nil {
		t.Error("the write went through")
	}
	ours.Close()
}

// What was written before the request is not the request.
func TestMarkLeavesOutWhatWasBefore(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	conn := &watchedConn{Conn: ours}
	go func() { _, _ = io.Copy(io.Discard, theirs) }() // until the pipe is closed
	if _, err := conn.Write([]byte("handshake")); err != nil {
		t.Fatal(err)
	}
	if conn.seal(conn.mark()) {
		t.Error("the handshake counted")
	}
	if watched(nil) != nil || watched(theirs) != nil {
		t.Error("found a watched connection where there is none")
	}
}
