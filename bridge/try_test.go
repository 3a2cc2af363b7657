package bridge

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi"
)

func TestEachTrialHasATimeOfItsOwn(t *testing.T) {
	hangs := func(ctx context.Context, _ Config) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	works := func(ctx context.Context, _ Config) (string, error) { return "fine", ctx.Err() }
	synctest.Test(t, func(t *testing.T) {
		trials, err := tryEach(t.Context(), Config{}, trialLimit, []trial{{"one", hangs}, {"two", works}})
		if !errors.Is(err, context.DeadlineExceeded) || len(trials) != 2 || trials[0].OK || !trials[1].OK || trials[1].Detail != "fine" {
			t.Errorf("%+v, %v", trials, err)
		}
	})
}

func external(s *natstest.Server) Config {
	cfg := DefaultConfig()
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, s.URL
	return cfg
}

func TestATrialOfTheBusTellsWhatRunWouldMeet(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	js := s.JetStream(t)
	detail, err := tryBus(t.Context(), external(s))
	if err != nil || !strings.Contains(detail, "7 streams missing; run makes them") {
		t.Errorf("without streams: %q, %v", detail, err)
	}
	natstest.CreateStream(t, js, jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"cx.>"}})
	var overlap *broker.OverlapError
	if _, err = tryBus(t.Context(), external(s)); !errors.As(err, &overlap) || overlap.Others[0] != "TEAM" {
		t.Errorf("with a stream in the way: %v", err)
	}
	if err := js.DeleteStream(t.Context(), "TEAM"); err != nil {
		t.Fatal(err)
	}
	natstest.CreateStream(t, js, jetstream.StreamConfig{Name: "CX_EVENTS", Subjects: []string{"cx.*.*"}, Duplicates: time.Hour, Retention: jetstream.WorkQueuePolicy})
	var setting *broker.SettingError
	if _, err = tryBus(t.Context(), external(s)); !errors.As(err, &setting) || setting.Setting != "retention" {
		t.Errorf("with a work queue: %v", err)
	}
}

func TestATrialOfTheBusTellsOfALimitBelowThatOfWebhooks(t *testing.T) {
	t.Parallel()
	small, large := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 1 << 20 }), natstest.Start(t, func(o *server.Options) { o.MaxPayload = 4<<20 + headerRoom })
	detail, err := tryBus(t.Context(), external(small))
	for _, want := range []string{"413", "max_payload is 1048576", "webhook.max_body_bytes 4194304", "nats-server to 4259840", "lower webhook.max_body_bytes to 983040"} {
		if err != nil || !strings.Contains(detail, want) {
			t.Errorf("%q is not in %q, %v", want, detail, err)
		}
	}
	if detail, err = tryBus(t.Context(), external(large)); err != nil || strings.Contains(detail, "413") {
		t.Errorf("a bus that takes enough: %q, %v", detail, err)
	}
}

func TestALimitBelowThatOfWebhooksIsToldOnceAndAgainWhenItChanges(t *testing.T) {
	var log bytes.Buffer
	logger, err := telemetry.NewLogger(&log, telemetry.Config{Level: "info", Format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	told := watchPayload(DefaultConfig(), logger)
	for _, test := range []struct {
		limit int64
		lines int
	}{{1 << 20, 1}, {1 << 20, 1}, {2 << 20, 2}, {8 << 20, 2}, {1 << 20, 3}, {4<<20 + headerRoom - 1, 4}, {4<<20 + headerRoom, 4}} {
		told(test.limit)
		if n := strings.Count(log.String(), "answered 413"); n != test.lines {
			t.Errorf("%d lines after a limit of %d, want %d", n, test.limit, test.lines)
		}
	}
	line, _, _ := strings.Cut(log.String(), "\n")
	for _, want := range []string{"key=webhook.max_body_bytes", "max_body_bytes=4194304", "max_payload=1048576", "needed=4259840", "raise max_payload", "lower webhook.max_body_bytes"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
}

func TestAFailedTrialSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	away := natstest.Start(t)
	away.Stop()
	plain := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	closed := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "u", "p" })
	for name, test := range map[string]struct {
		server *natstest.Server
		want   []string
	}{
		"no server":    {away, []string{"refused", "check nats.url"}},
		"no JetStream": {plain, []string{"JetStream is not enabled", "-js"}},
		"no login":     {closed, []string{"Authorization Violation", "check the login"}},
	} {
		var err error
		told := func(want string) bool { return err != nil && strings.Contains(err.Error(), want) }
		// On a slow machine the first attempt to connect may take longer than the first limit.
		for limit := 2 * time.Second; limit < natstest.Patience && (!told(test.want[0]) || !told(test.want[1])); limit *= 2 {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			_, err = tryBus(ctx, external(test.server))
			cancel()
		}
		if !told(test.want[0]) || !told(test.want[1]) {
			t.Errorf("%s: %v; want %q", name, err, test.want)
		}
	}
	for kind, want := range map[cxapi.Kind]string{
		cxapi.KindUnauthorized: "cx.access_token", cxapi.KindForbidden: "cx.oauth.scopes", cxapi.KindNotFound: "cx.base_url", cxapi.KindConnection: "firewall",
		cxapi.KindRateLimited: "in a minute", cxapi.KindUnavailable: "later",
	} {
		if err := apiRemedy(&cxapi.Error{Op: "GET inboxes/", Kind: kind}); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", kind, err, want)
		}
	}
}
