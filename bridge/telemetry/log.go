package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// Config says what is logged and how it looks.
type Config struct {
	Level  string `koanf:"level"`  // debug, info, warn or error
	Format string `koanf:"format"` // auto, text or json
}

// The formats of log lines.
const (
	FormatAuto = "auto" // FormatText in colour on a terminal, FormatJSON elsewhere
	FormatText = "text" // one line for people
	FormatJSON = "json" // one JSON object a line
)

// DefaultConfig logs from info upwards, for whoever is reading.
func DefaultConfig() Config { return Config{Level: "info", Format: FormatAuto} }

// Check reports each value that is wrong, with its key relative to the section.
func (c Config) Check(report func(key, rule string, value any)) {
	if _, err := parseLevel(c.Level); err != nil {
		report("level", "must be debug, info, warn or error", c.Level)
	}
	switch c.Format {
	case FormatAuto, FormatText, FormatJSON:
	default:
		report("format", "must be auto, text or json", c.Format)
	}
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q: must be debug, info, warn or error", s)
}

// NewLogger returns a logger that writes to w as c says. Whether w is a terminal decides the format auto, and colour.
func NewLogger(w io.Writer, c Config) (*slog.Logger, error) {
	level, err := parseLevel(c.Level)
	if err != nil {
		return nil, err
	}
	terminal := IsTerminal(w)
	if c.Format == FormatJSON || c.Format == FormatAuto && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal || os.Getenv("NO_COLOR") != ""})), nil
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
