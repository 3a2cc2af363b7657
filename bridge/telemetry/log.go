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

// NewLogger returns a logger that writes to w as c says. Whether w is a terminal decides the format auto, and colour. It writes the values of
// [LogFields] only, and of lines that are alike only so many a second; how many it left out it tells.
func NewLogger(w io.Writer, c Config) (*slog.Logger, error) {
	log, _, err := NewAdjustable(w, c)
	return log, err
}

// NewAdjustable is [NewLogger] with the level, which can be set at any time.
func NewAdjustable(w io.Writer, c Config) (*slog.Logger, *Level, error) {
	first, err := parseLevel(c.Level)
	if err != nil {
		return nil, nil, err
	}
	level := &Level{}
	level.current.Set(first)
	lines := newBounded(newShown(newHandler(w, c.Format, &level.current)))
	level.second = lines.second
	return slog.New(lines), level, nil
}

// Level is from where on lines are logged.
type Level struct {
	current slog.LevelVar
	second  *second
}

// Set sets the level by its name; one that does not exist changes nothing.
func (l *Level) Set(name string) error {
	level, err := parseLevel(name)
	if err == nil {
		l.current.Set(level)
	}
	return err
}

// Flush tells at once how many lines were left out in this second. It belongs before the end of the process.
func (l *Level) Flush() { l.second.flush() }

func newHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	terminal := IsTerminal(w)
	if format == FormatJSON || format == FormatAuto && !terminal {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: inSeconds})
	}
	return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal || os.Getenv("NO_COLOR") != ""})
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
