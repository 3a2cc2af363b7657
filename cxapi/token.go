package cxapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// TokenSource gives the bearer token of a call. Its methods may be used by several goroutines at once.
type TokenSource interface {
	// Token returns the token to use now. It may have to ask a server for it, for as long as ctx lasts.
	Token(ctx context.Context) (string, error)
	// Invalidate says that the API refused the token. Naming one that is not current any more does nothing.
	Invalidate(token string)
}

// StaticToken returns a source of one token that never changes. An empty token is an error of every call.
func StaticToken(token string) TokenSource { return staticToken(token) }

type staticToken string

func (t staticToken) Token(context.Context) (string, error) {
	if err := checkToken(string(t)); err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	return string(t), nil
}

func (staticToken) Invalidate(string) {}

// checkToken refuses what cannot stand in a header. It never shows the token.
func checkToken(token string) error {
	if token == "" {
		return errors.New("is empty")
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return errors.New("has characters that cannot be sent")
		}
	}
	return nil
}

// FileToken is a source of the token that stands in a file, with or without space around it. The file is looked at before
// every call and read again when it has changed, so that a token can be rotated without a restart. While it is missing
// or empty, as for a moment during a rotation, the last token stays in use.
type FileToken struct {
	path string

	mu    sync.Mutex
	token string
	read  os.FileInfo // of the file as it was read; nil if it must be read again
}

// NewFileToken returns a source that reads the token from the file at path. The file is first read by the first call.
func NewFileToken(path string) *FileToken { return &FileToken{path: path} }

// Token returns the token in the file.
func (f *FileToken) Token(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && !f.unchanged(info) {
		err = f.load(info)
	}
	if err != nil && f.token == "" {
		return "", fmt.Errorf("token file: %w", err)
	}
	return f.token, nil
}

func (f *FileToken) unchanged(info os.FileInfo) bool {
	return f.read != nil && f.token != "" && os.SameFile(f.read, info) &&
		f.read.ModTime().Equal(info.ModTime()) && f.read.Size() == info.Size()
}

func (f *FileToken) load(info os.FileInfo) error {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	token := string(bytes.TrimSpace(content))
	if err := checkToken(token); err != nil {
		return fmt.Errorf("%s %w", f.path, err)
	}
	f.token, f.read = token, info
	return nil
}

// Invalidate has the file read again by the next call, even if it looks unchanged.
func (f *FileToken) Invalidate(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token == f.token {
		f.read = nil
	}
}
