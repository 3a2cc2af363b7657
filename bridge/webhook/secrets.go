package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often a file may be looked at for changes.
const lookEvery = time.Second

// watched reads a file again when it has changed. It looks at the file when it is asked, at most once a second.
type watched struct {
	paths []string
	load  func() error // keeps what was there before if it fails
	log   *slog.Logger

	next    atomic.Int64 // when to look again, in nanoseconds since 1970
	mu      sync.Mutex
	stamp   string // of what was read last
	trouble trouble
}

func newWatched(log *slog.Logger, load func() error, paths ...string) (*watched, error) {
	w := &watched{paths: paths, load: load, log: log, stamp: stamp(paths)}
	w.next.Store(time.Now().Add(lookEvery).UnixNano())
	return w, load()
}

// look reads the files again if that is due and they have changed.
func (w *watched) look() {
	now, due := time.Now(), w.next.Load()
	if now.UnixNano() < due || !w.next.CompareAndSwap(due, now.Add(lookEvery).UnixNano()) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	found := stamp(w.paths)
	if found == w.stamp {
		return
	}
	if err := w.load(); err != nil {
		w.trouble.Do(err, func() {
			w.log.Error("a changed file cannot be used; the former content stays in use", "files", w.paths, "error", err)
		})
		return
	}
	w.stamp = found
	w.trouble.Done()
	w.log.Info("a changed file is in use", "files", w.paths)
}

// stamp tells one state of files from another.
func stamp(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil {
			b.WriteString("?")
		} else {
			b.WriteString(info.ModTime().String())
			b.WriteString(info.Mode().String())
			b.WriteString(strconv.FormatInt(info.Size(), 10))
		}
	}
	return b.String()
}

// secretList holds secrets of which each is valid: those of the configuration, or those of a file.
type secretList[T any] struct {
	current atomic.Pointer[[]T]
	file    *watched // nil: there is none
}

// newSecretList makes the list: read reads the file, and prepare turns a secret into what it is used as.
func newSecretList[T any](secrets []string, file string, read func(string) ([]string, error), prepare func(string) T, log *slog.Logger) (*secretList[T], error) {
	l := &secretList[T]{}
	if file == "" {
		l.set(secrets, prepare)
		return l, nil
	}
	var err error
	l.file, err = newWatched(log, func() error {
		lines, err := read(file)
		if err != nil {
			return err
		}
		l.set(lines, prepare)
		return nil
	}, file)
	return l, err
}

func (l *secretList[T]) set(secrets []string, prepare func(string) T) {
	prepared := make([]T, len(secrets))
	for i, s := range secrets {
		prepared[i] = prepare(s)
	}
	l.current.Store(&prepared)
}

// all returns the secrets that are valid now.
func (l *secretList[T]) all() []T {
	if l.file != nil {
		l.file.look()
	}
	return *l.current.Load()
}

// readLines returns the lines of a file that are not empty. Errors do not tell what is in it.
func readLines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, string(line))
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("the file holds no secret")
	}
	return lines, nil
}

// readTokens returns the path tokens in a file.
func readTokens(path string) ([]string, error) {
	tokens, err := readLines(path)
	if err != nil {
		return nil, err
	}
	for i, token := range tokens {
		if !tokenForm.MatchString(token) {
			return nil, fmt.Errorf("token %d of the file %s", i+1, tokenRule)
		}
	}
	return tokens, nil
}
