package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

func TestLinesThatAreAlikeAreBoundedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _, err := telemetry.NewAdjustable(&out, telemetry.Config{Level: "debug", Format: telemetry.FormatJSON})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			log.Info("storm", "error", errors.New("again"))
			log.With("epoch", 3).Debug("flood")
		}
		log.Warn("storm")
		log.Error("the only one")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := tally(t, out.Bytes())
		want := map[string]int{
			"INFO storm": 20, "DEBUG flood": 200, "WARN storm": 1, "ERROR the only one": 1,
			"INFO lines were left out: storm 980": 1, "DEBUG lines were left out: flood 800": 1,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("lines = %v\nwant    %v", got, want)
		}
		out.Reset()
		log.Info("storm")
		if got := tally(t, out.Bytes()); got["INFO storm"] != 1 || len(got) != 1 {
			t.Errorf("after the second: %v", got)
		}
	})
}

func TestNoLineGetsLostWithoutACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, level, err := telemetry.NewAdjustable(&out, telemetry.Config{Level: "info", Format: telemetry.FormatJSON})
		if err != nil {
			t.Fatal(err)
		}
		const lines = 5000
		for i := range lines {
			log.Warn(fmt.Sprintf("message %d", i%2500))
			time.Sleep(time.Millisecond)
		}
		level.Flush()
		sum := 0
		for line := range bytes.Lines(out.Bytes()) {
			var l struct {
				Msg     string `json:"msg"`
				LeftOut int    `json:"left_out"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatal(err)
			}
			if l.Msg != "lines were left out" {
				sum++
			}
			sum += l.LeftOut
		}
		if sum != lines {
			t.Errorf("%d lines are accounted for; want %d", sum, lines)
		}
	})
}

// tally counts lines by level and message.
func tally(t *testing.T, lines []byte) map[string]int {
	t.Helper()
	got := map[string]int{}
	for line := range bytes.Lines(lines) {
		var l struct {
			Level, Msg, Line string
			LeftOut          int `json:"left_out"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		text := l.Level + " " + l.Msg
		if l.LeftOut > 0 {
			text += fmt.Sprintf(": %s %d", l.Line, l.LeftOut)
		}
		got[text]++
	}
	return got
}

type word string

func TestOnlyWhatSomebodyHasThoughtAboutIsShown(t *testing.T) {
	const secret = "nobody-may-read-this"
	for _, format := range []string{telemetry.FormatJSON, telemetry.FormatText} {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, telemetry.Config{Level: "info", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.With("content", secret).Info("one", "email", secret, "status", word("done"), "duration", 1500*time.Millisecond,
			"error", struct{ Body string }{secret}, slog.Group("event", slog.String("status", secret)), "cause", strings.Repeat("x", 5000))
		got := out.String()
		if strings.Contains(got, secret) {
			t.Errorf("%s: %s", format, got)
		}
		for _, want := range []string{"email", "done", "1.5"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", format, want, got)
			}
		}
		if len(got) > 3000 {
			t.Errorf("%s: a line of %d bytes", format, len(got))
		}
	}
}
