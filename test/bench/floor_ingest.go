package main

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"
)

// serveFloorIngest is the least that can take webhooks: the id out of the body, one publish, its acknowledgement, 200.
func serveFloorIngest(ctx context.Context) error {
	conn, err := nats.Connect(os.Getenv(envURL))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, err = announce(ctx, listener.Addr().String())
	if err != nil {
		return err
	}
	s := &http.Server{Handler: &floorIngest{js: js, signed: os.Getenv(envSecret) != ""}, ReadHeaderTimeout: startTime}
	context.AfterFunc(ctx, func() { _ = s.Close() }) // nobody sends any more
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type floorIngest struct {
	js     jetstream.JetStream
	signed bool
}

func (f *floorIngest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, max(r.ContentLength, 0))
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f.signed && !f.valid(r.Header, body) {
		http.Error(w, "signature", http.StatusUnauthorized)
		return
	}
	found := gjson.GetManyBytes(body, "event", "id")
	noun, verb, _ := strings.Cut(found[0].Str, "_")
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	msg := &nats.Msg{Subject: "cx." + noun + "." + verb, Data: body, Header: nats.Header{nats.MsgIdHdr: {found[0].Str + "-" + found[1].Raw}}}
	if _, err := f.js.PublishMsg(ctx, msg); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprint(w, "{}") // the event is stored, whoever gets to know
}

func (f *floorIngest) valid(in http.Header, body []byte) bool {
	got, err := hex.DecodeString(strings.TrimPrefix(in.Get("X-Chatwoot-Signature"), "sha256="))
	return err == nil && hmac.Equal(got, sign(in.Get("X-Chatwoot-Timestamp"), body))
}
