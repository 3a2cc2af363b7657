package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// taken is what the API's client answers when a webhook is there already.
type taken struct{}

func (taken) Error() string     { return "webhooks: 422: URL has already been taken" }
func (taken) AlreadyDone() bool { return true }

func TestTheWebhookIsRegisteredAtStartAndEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		start := time.Now()
		answers := []error{errors.New("503"), errors.New("503"), nil, fmt.Errorf("create: %w", taken{}), nil}
		var log bytes.Buffer
		cfg := DefaultConfig()
		cfg.PathTokens, cfg.PublicURL = []string{"t1", "t2"}, "https://bridge.example.test"
		ctx, cancel := context.WithCancel(t.Context())
		r := Registrar{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, nil)), Create: func(_ context.Context, url string, subscriptions []string) error {
			if !slices.Equal(subscriptions, cfg.Subscriptions) {
				t.Errorf("subscriptions %v", subscriptions)
			}
			calls = append(calls, url)
			if len(calls) == len(answers) {
				cancel()
			}
			return answers[len(calls)-1]
		}}
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 2*time.Hour || took > 2*time.Hour+time.Minute {
			t.Errorf("the calls took %s", took)
		}
		for _, url := range calls {
			if url != "https://bridge.example.test/webhooks/t1" {
				t.Errorf("URL %s", url)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || strings.Contains(log.String(), "t1") {
			t.Errorf("log %s", log.String())
		}
	})
}

func TestWithoutAPublicURLNothingIsRegistered(t *testing.T) {
	r := Registrar{Config: DefaultConfig(), Log: slog.New(slog.DiscardHandler)}
	if err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTheURLThatIsRegistered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	write(t, file, "from-file\n")
	for _, test := range []struct {
		public, file, want string
		tokens             []string
	}{
		{"https://a.test", "", "https://a.test/webhooks/t1", []string{"t1"}},
		{"https://a.test/", "", "https://a.test/webhooks/t1", []string{"t1"}},
		{"https://a.test/cx", "", "https://a.test/cx/webhooks/t1", []string{"t1"}},
		{"https://a.test/webhooks/", "", "https://a.test/webhooks/t1", []string{"t1"}},
		{"https://a.test/webhooks", "", "https://a.test/webhooks/t1", []string{"t1"}},
		{"https://a.test/webhooks/whole", "", "https://a.test/webhooks/whole", []string{"t1"}},
		{"https://a.test", "", "https://a.test/webhooks/", nil},
		{"https://a.test", file, "https://a.test/webhooks/from-file", []string{"before"}},
	} {
		r := Registrar{Config: Config{PublicURL: test.public, PathTokens: test.tokens, PathTokensFile: test.file}}
		if got, err := r.Target(); got != test.want || err != nil {
			t.Errorf("%s: %s, error %v; want %s", test.public, got, err, test.want)
		}
	}
}
