package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

func TestLogIsJSONAwayFromATerminal(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, telemetry.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("too quiet")
	log.Info("ready", "address", "127.0.0.1:8080")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, out.String())
	}
	if line["msg"] != "ready" || line["address"] != "127.0.0.1:8080" {
		t.Errorf("line = %v", line)
	}
}

func TestTextFormatHasNoColourAwayFromATerminal(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, telemetry.Config{Level: "debug", Format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("hello", "bytes", 1)
	if got := out.String(); !strings.Contains(got, "hello bytes=1") || strings.Contains(got, "\x1b") {
		t.Errorf("line = %q", got)
	}
}

func TestConfigProblemsNameTheKey(t *testing.T) {
	var keys []string
	telemetry.Config{Level: "loud", Format: "xml"}.Check(func(key, _ string, _ any) { keys = append(keys, key) })
	if got := strings.Join(keys, " "); got != "level format" {
		t.Errorf("keys = %q", got)
	}
	telemetry.DefaultConfig().Check(func(key, rule string, value any) { t.Errorf("default %s: %s: %v", key, rule, value) })
	if _, err := telemetry.NewLogger(&bytes.Buffer{}, telemetry.Config{Level: "loud"}); err == nil {
		t.Error("an unknown level makes a logger")
	}
}

func TestMetricsTellTheProcessAndTheBuild(t *testing.T) {
	r := telemetry.NewRegistry("v1.2.3")
	w := httptest.NewRecorder()
	telemetry.Handler(r, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`cxbridge_build_info{version="v1.2.3"} 1`, "go_goroutines", "process_start_time_seconds"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

func TestTheLevelCanBeSetAtAnyTime(t *testing.T) {
	for _, format := range []string{telemetry.FormatJSON, telemetry.FormatText} {
		var out bytes.Buffer
		log, level, err := telemetry.NewAdjustable(&out, telemetry.Config{Level: "warn", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		child := log.With("by", "child")
		child.Info("one")
		if err := level.Set("debug"); err != nil {
			t.Fatal(err)
		}
		child.Debug("two")
		if err := level.Set("loud"); err == nil {
			t.Error("an unknown level was set")
		}
		child.Debug("three")
		if got := out.String(); strings.Contains(got, "one") || !strings.Contains(got, "two") || !strings.Contains(got, "three") {
			t.Errorf("%s: %s", format, got)
		}
	}
}
