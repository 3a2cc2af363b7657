package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

const pathToken = "path-token-0123456789"

// simulate runs a CX for the test and returns it with a configuration that uses it, embedded.
func simulate(t *testing.T) (*cxsim.Sim, bridge.Config) {
	t.Helper()
	sim := cxsim.New(cxsim.Options{WebhookAttempts: -1, RetryWait: 50 * time.Millisecond})
	t.Cleanup(sim.Close)
	base, err := sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	cfg := bridge.DefaultConfig()
	cfg.CX.BaseURL, cfg.CX.TenantDomain, cfg.CX.AccessToken = base, cxsim.DefaultTenant, cxsim.DefaultToken
	cfg.CX.Timeout = natstest.Patience
	cfg.NATS.Embedded.Listen, cfg.NATS.Embedded.StoreDir, cfg.NATS.Embedded.Sync = "127.0.0.1:0", t.TempDir(), "1m"
	cfg.Spool.Dir = t.TempDir()
	cfg.Webhook.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Webhook.PathTokens = []string{pathToken}
	cfg.Webhook.AttemptTimeout, cfg.Webhook.StoreTimeout = natstest.Patience/4, natstest.Patience
	cfg.Commands.LeaseTTL = natstest.Patience
	cfg.Grace = natstest.Patience
	return sim, cfg
}

// running is a bridge that was started.
type running struct {
	*bridge.Bridge
	t    *testing.T
	end  context.CancelFunc
	done chan error
}

func start(t *testing.T, cfg bridge.Config) *running {
	t.Helper()
	b, err := bridge.New(cfg, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, b)
}

// launch runs a bridge until the end of the test.
func launch(t *testing.T, b *bridge.Bridge) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Bridge: b, t: t, end: cancel, done: make(chan error, 1)}
	go func() { r.done <- b.Run(ctx) }()
	t.Cleanup(func() { r.stop() })
	return r
}

// stop stops the bridge softly and fails the test if that does not go well.
func (r *running) stop() {
	r.t.Helper()
	r.end()
	if err := r.ended(); err != nil {
		r.t.Errorf("Run = %v", err)
	}
}

// ended waits for the end and returns what Run returned.
func (r *running) ended() error {
	r.t.Helper()
	select {
	case err, open := <-r.done:
		if open {
			close(r.done)
		}
		return err
	case <-time.After(2 * natstest.Patience):
		r.t.Fatal("the bridge does not end")
		return nil
	}
}

func (r *running) waitReady() *running {
	r.t.Helper()
	select {
	case <-r.Ready():
	case err := <-r.done:
		close(r.done)
		r.t.Fatalf("Run = %v", err)
	case <-time.After(natstest.Patience):
		_, problems := r.get("/readyz")
		r.t.Fatalf("not ready: %s", problems)
	}
	return r
}

func (r *running) get(path string) (int, string) {
	r.t.Helper()
	return request(r.t, http.MethodGet, "http://"+r.AdminAddr().String()+path, "")
}

func (r *running) post(body string) int {
	r.t.Helper()
	natstest.Eventually(r.t, "the webhook listener", func() bool { return r.WebhookAddr() != nil })
	status, _ := request(r.t, http.MethodPost, r.url(), body)
	return status
}

func (r *running) url() string {
	return "http://" + r.WebhookAddr().String() + "/webhooks/" + pathToken
}

func request(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func event(id int) string {
	return fmt.Sprintf(`{"event":"message_created","id":%d,"content":"hi","message_type":"incoming","conversation":{"id":1},"inbox":{"id":1}}`, id)
}

// stored counts the messages of a stream.
func stored(t *testing.T, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestBridgeStartsAndStopsTwiceOnOneDirectory(t *testing.T) {
	sim, cfg := simulate(t)
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	for life := 1; life <= 2; life++ {
		b := start(t, cfg).waitReady()
		js := connect(t, b.NATSURL())
		for id := 1; id <= 3; id++ {
			if status := b.post(event(id)); status != http.StatusOK {
				t.Fatalf("webhook = %d", status)
			}
		}
		if n := stored(t, js, "CX_EVENTS"); n != 3 {
			t.Errorf("life %d: %d events; want 3, each once", life, n)
		}
		body := fmt.Sprintf(`{"conversation_id":%d,"content":"life %d"}`, c.ID, life)
		if _, err := js.Publish(t.Context(), "cx.cmd.message.send", []byte(body)); err != nil {
			t.Fatal(err)
		}
		natstest.Eventually(t, "the result", func() bool { return stored(t, js, "CX_RESULTS") == uint64(life) })
		b.stop()
	}
	if n := len(sim.Journal()); n != 2 {
		t.Errorf("%d calls of the API; want 2", n)
	}
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestBridgeIsReadyOnlyWhileTheBusIsThere(t *testing.T) {
	t.Parallel()
	_, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	b := start(t, cfg).waitReady()
	if status, body := b.get("/readyz"); status != http.StatusOK {
		t.Fatalf("/readyz = %d %s", status, body)
	}
	server.Stop()
	natstest.Eventually(t, "/readyz to tell that the bus is away", func() bool {
		status, body := b.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"check":"bus"`)
	})
	if status, _ := b.get("/livez"); status != http.StatusOK {
		t.Errorf("/livez = %d", status)
	}
	server.Restart(t)
	natstest.Eventually(t, "/readyz to turn well again", func() bool { status, _ := b.get("/readyz"); return status == http.StatusOK })
}

func TestABusThatTakesLessThanWebhooksMayHaveIsToldOfAndIsReady(t *testing.T) {
	t.Parallel()
	_, cfg := simulate(t)
	server := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 1 << 20 })
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	log := &lines{}
	b, err := bridge.New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	launch(t, b).waitReady()
	natstest.Eventually(t, "a line about the limit", func() bool { return strings.Contains(log.String(), "max_body_bytes=4194304 max_payload=1048576") })
}

func TestWebhooksAreTakenWhileTheBusWasNeverThere(t *testing.T) {
	t.Parallel()
	_, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	server.Stop()
	b := start(t, cfg)
	for id := 1; id <= 5; id++ {
		if status := b.post(event(id)); status != http.StatusOK {
			t.Fatalf("webhook = %d", status)
		}
	}
	if status, body := b.get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz = %d %s", status, body)
	}
	server.Restart(t)
	b.waitReady()
	js := server.JetStream(t)
	natstest.Eventually(t, "the events", func() bool { return stored(t, js, "CX_EVENTS") == 5 })
}

func TestReadyTellsThatTheSpoolTakesNothing(t *testing.T) {
	t.Parallel()
	_, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	cfg.Spool.MaxBytes = 1 << 20
	server.Stop()
	b := start(t, cfg)
	id := 0
	for _, size := range []int{300 << 10, 30 << 10} { // the small ones fill what the large ones leave
		for status := http.StatusOK; status == http.StatusOK; {
			id++
			status = b.post(strings.Replace(event(id), `"hi"`, `"`+strings.Repeat("x", size)+`"`, 1))
			if status != http.StatusOK && status != http.StatusTooManyRequests || id > 50 {
				t.Fatalf("webhook %d = %d", id, status)
			}
		}
	}
	natstest.Eventually(t, "/readyz to tell of the spool", func() bool {
		status, body := b.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"check":"spool"`)
	})
	server.Restart(t)
	b.waitReady()
	natstest.Eventually(t, "/readyz to turn well", func() bool { status, _ := b.get("/readyz"); return status == http.StatusOK })
}

func TestAnotherBridgeTakesOver(t *testing.T) {
	sim, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	first := start(t, cfg).waitReady()
	cfg.Spool.Dir = t.TempDir()
	second := start(t, cfg).waitReady()
	js := server.JetStream(t)
	send := func(text string) {
		if _, err := js.Publish(t.Context(), "cx.cmd.message.send", fmt.Appendf(nil, `{"conversation_id":%d,"content":%q}`, c.ID, text)); err != nil {
			t.Fatal(err)
		}
	}
	send("one")
	natstest.Eventually(t, "the first result", func() bool { return stored(t, js, "CX_RESULTS") == 1 })
	if status := second.post(event(1)); status != http.StatusOK {
		t.Errorf("the standby answers %d to a webhook", status)
	}
	first.stop()
	send("two")
	natstest.Eventually(t, "the second result", func() bool { return stored(t, js, "CX_RESULTS") == 2 })
	if n := len(sim.Journal()); n != 2 {
		t.Errorf("%d calls of the API; want 2", n)
	}
}

func TestPausedCommandsWaitAcrossRestarts(t *testing.T) {
	sim, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	start(t, cfg).waitReady().stop()
	js := server.JetStream(t)
	bucket, err := js.KeyValue(t.Context(), "CX_BRIDGE")
	if err != nil {
		t.Fatal(err)
	}
	pauses := pause.New(bucket, slog.New(slog.DiscardHandler))
	if _, _, err := pauses.Pause(t.Context(), "test", ""); err != nil {
		t.Fatal(err)
	}
	b := start(t, cfg).waitReady()
	if _, err := js.Publish(t.Context(), "cx.cmd.message.send", fmt.Appendf(nil, `{"conversation_id":%d,"content":"hi"}`, c.ID)); err != nil {
		t.Fatal(err)
	}
	answer, err := js.Conn().Request("cx.rpc.bridge.status", nil, natstest.Patience)
	if err != nil || !strings.Contains(string(answer.Data), `"paused":true`) {
		t.Errorf("status = %v, %v", answer, err)
	}
	if status := b.post(event(1)); status != http.StatusOK {
		t.Errorf("webhook = %d", status)
	}
	if n := len(sim.Journal()); n != 0 {
		t.Errorf("%d calls of the API while paused", n)
	}
	if _, _, err := pauses.Resume(t.Context(), "test", ""); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the result", func() bool { return stored(t, js, "CX_RESULTS") == 1 })
}

func TestBridgeAnswersRequests(t *testing.T) {
	sim, cfg := simulate(t)
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, start(t, cfg).waitReady().NATSURL()).Conn()
	for subject, want := range map[string]string{
		"cx.rpc.bridge.status": `"ready":true`, "cx.rpc.inbox.list": `"name":"Chat"`, "cx.rpc.message.send": `"status":"done"`,
	} {
		answer, err := conn.Request(subject, fmt.Appendf(nil, `{"conversation_id":%d,"content":"hi"}`, c.ID), natstest.Patience)
		if err != nil || !strings.Contains(string(answer.Data), want) {
			t.Errorf("%s = %v, %v; want %s", subject, answer, err, want)
		}
	}
}

func TestTheCodeOfARequestIsThatOfTheAPI(t *testing.T) {
	sim, cfg := simulate(t)
	conn := connect(t, start(t, cfg).waitReady().NATSURL()).Conn()
	for _, code := range []int{401, 403, 429} {
		sim.Fault(cxsim.Fault{Op: cxsim.OpListInboxes, Effect: cxsim.EffectStatus, Status: code, Body: `{"error":"nope"}`, Times: 1})
		answer, err := conn.Request("cx.rpc.inbox.list", nil, natstest.Patience)
		if err != nil || answer.Header.Get(subjects.HeaderServiceErrorCode) != strconv.Itoa(code) {
			t.Fatalf("%d: %v, %v", code, answer, err)
		}
		if text := answer.Header.Get(subjects.HeaderServiceError); !strings.Contains(text, "the API of CX") || !strings.Contains(text, "nope") {
			t.Errorf("%d: %s", code, text)
		}
	}
}

func TestBridgeWithoutCommandsNeedsNoAPI(t *testing.T) {
	_, cfg := simulate(t)
	cfg.Commands.Enabled, cfg.CX.AccessToken = false, ""
	b := start(t, cfg).waitReady()
	if status := b.post(event(1)); status != http.StatusOK {
		t.Errorf("webhook = %d", status)
	}
}

func TestStreamThatBreaksAGuaranteeStopsTheBridge(t *testing.T) {
	_, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	_, err := server.JetStream(t).CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "CX_COMMANDS", Subjects: []string{"cx.cmd.*.>", "cx.schedule.*.>"}, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, cfg)
	if err := b.ended(); err == nil || !strings.Contains(err.Error(), "CX_COMMANDS") {
		t.Errorf("Run = %v; want an error that names the stream", err)
	}
}

func TestRunTellsThatAnAddressIsTaken(t *testing.T) {
	_, cfg := simulate(t)
	first := start(t, cfg).waitReady()
	cfg.Webhook.Listen = first.WebhookAddr().String()
	second := start(t, cfg)
	if err := second.ended(); err == nil || !strings.Contains(err.Error(), "webhook.listen") {
		t.Errorf("Run = %v", err)
	}
}

func TestBridgeStopsWhileItStarts(t *testing.T) {
	_, cfg := simulate(t)
	start(t, cfg).stop()
}

func TestBridgeRunsOnce(t *testing.T) {
	_, cfg := simulate(t)
	b := start(t, cfg).waitReady()
	b.stop()
	if err := b.Run(t.Context()); err == nil {
		t.Error("it ran twice")
	}
}

func TestNewTellsWhatIsWrong(t *testing.T) {
	_, err := bridge.New(bridge.DefaultConfig(), slog.New(slog.DiscardHandler))
	if len(problems(t, err)) != 3 {
		t.Errorf("New = %v", err)
	}
}

func TestTryTellsWhatWorks(t *testing.T) {
	t.Parallel()
	_, cfg := simulate(t)
	server := natstest.Start(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, server.URL
	trials, err := bridge.Try(t.Context(), cfg)
	if err != nil || len(trials) != 2 || !trials[0].OK || !trials[1].OK {
		t.Errorf("with everything there: %v, %v", trials, err)
	}
	if _, err := server.JetStream(t).Stream(t.Context(), "CX_EVENTS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a trial changes the bus: %v", err)
	}
	server.Stop()
	cfg.CX.AccessToken = "s3cret-and-wrong"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	trials, err = bridge.Try(ctx, cfg)
	if err == nil || len(trials) != 2 || trials[0].OK || trials[1].OK || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("with nothing there: %v, %v", trials, err)
	}
}
