package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// errLocked is what lockFile returns when another process, or this one, holds the lock.
var errLocked = errors.New("locked")

// lock keeps other processes from using a directory. The operating system gives it free when the process dies.
type lock struct{ file *os.File }

// acquire locks the file, and writes into it who holds it.
func acquire(path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("not writable: %w", err)
	}
	if err := lockFile(file); err != nil {
		if errors.Is(err, errLocked) {
			err = fmt.Errorf("in use by another process (%s); two servers on one directory would destroy it", holder(file))
		}
		return nil, errors.Join(err, file.Close())
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("not writable: %w", err), file.Close())
	}
	if _, err := fmt.Fprintf(file, "pid %d\n", os.Getpid()); err != nil {
		return nil, errors.Join(fmt.Errorf("not writable: %w", err), file.Close())
	}
	return &lock{file: file}, nil
}

func holder(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 64))
	if err != nil || len(text) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func (l *lock) release() error { return l.file.Close() }
