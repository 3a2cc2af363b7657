package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger hands what the server says to slog. Notices of the server are details for us, so they become debug lines. What the
// server calls fatal is kept for the start to report; it never ends the process.
type logger struct {
	log   *slog.Logger
	fatal chan string
}

func (l *logger) Noticef(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *logger) Errorf(format string, args ...any)  { l.log.Error(fmt.Sprintf(format, args...)) }
func (l *logger) Debugf(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *logger) Tracef(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l *logger) Warnf(format string, args ...any) {
	level := slog.LevelWarn
	if strings.HasPrefix(format, "Maximum payloads over") {
		// Advice for servers with many clients; the size is one that the bridge chose.
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
}

func (l *logger) Fatalf(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	select {
	case l.fatal <- reason:
	default:
		l.log.Error(reason)
	}
}
