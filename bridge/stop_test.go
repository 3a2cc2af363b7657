package bridge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

// slowAPI answers calls when it is told to.
type slowAPI struct {
	*httptest.Server
	begun, release chan struct{}
}

func newSlowAPI(t *testing.T) *slowAPI {
	a := &slowAPI{begun: make(chan struct{}, 1), release: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		a.begun <- struct{}{}
		select {
		case <-a.release:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":7}`) // whoever called is gone if this fails
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// inHand starts a bridge on an external bus and lets it begin a call that is not answered yet.
func inHand(t *testing.T, grace time.Duration) (*slowAPI, *natstest.Server, *running) {
	t.Helper()
	_, cfg := simulate(t)
	api, server := newSlowAPI(t), natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	cfg.CX.BaseURL, cfg.Grace = api.URL, grace
	b := start(t, cfg).waitReady()
	if _, err := server.JetStream(t).Publish(t.Context(), "cx.cmd.message.send", []byte(`{"conversation_id":1,"content":"hi"}`)); err != nil {
		t.Fatal(err)
	}
	<-api.begun
	return api, server, b
}

func TestCommandsInHandAreFinishedBeforeTheBridgeStops(t *testing.T) {
	api, server, b := inHand(t, natstest.Patience)
	b.end()
	close(api.release)
	b.stop()
	stream, err := server.JetStream(t).Stream(t.Context(), "CX_RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var result subjects.Result
	if err := json.Unmarshal(m.Data, &result); err != nil || result.Status != subjects.StatusDone {
		t.Errorf("result = %s, %v", m.Data, err)
	}
}

func TestTheGraceBoundsAStop(t *testing.T) {
	_, _, b := inHand(t, time.Millisecond)
	b.stop()
}
