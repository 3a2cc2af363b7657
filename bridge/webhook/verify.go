package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pathTokens knows the tokens that may stand at the end of the path.
type pathTokens struct {
	list *secretList[[sha256.Size]byte]
	open bool // without any token everybody may send
}

func newPathTokens(cfg Config, log *slog.Logger) (*pathTokens, error) {
	sum := func(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }
	list, err := newSecretList(cfg.PathTokens, cfg.PathTokensFile, readTokens, sum, log)
	if err != nil {
		return nil, err
	}
	return &pathTokens{list: list, open: cfg.AllowWithoutToken}, nil
}

// valid compares the token with all that are valid, in a time that does not depend on what it is.
func (p *pathTokens) valid(token string) bool {
	all := p.list.all()
	if len(all) == 0 {
		return p.open
	}
	var memory [128]byte // more than most tokens have
	sum := sha256.Sum256(append(memory[:0], token...))
	same := 0
	for i := range all {
		same |= subtle.ConstantTimeCompare(sum[:], all[i][:])
	}
	return same == 1
}

// Reasons why a signature is refused.
var (
	errNoSignature    = errors.New("no signature")
	errBadTimestamp   = errors.New("the timestamp is missing, malformed or too far off")
	errWrongSignature = errors.New("wrong signature")
)

// signatures checks that a body was signed with one of the secrets: hex HMAC-SHA256 over the timestamp, a dot and the body.
type signatures struct {
	list            *secretList[*signer]
	header, stamped string
	tolerance       time.Duration
}

// signer makes signatures with one secret.
type signer struct{ pool sync.Pool }

func newSigner(secret string) *signer {
	return &signer{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(secret)) }}}
}

func newSignatures(cfg Config, log *slog.Logger) (*signatures, error) {
	list, err := newSecretList(cfg.SignatureSecrets, cfg.SignatureSecretsFile, readLines, newSigner, log)
	if err != nil {
		return nil, err
	}
	return &signatures{
		list: list, header: http.CanonicalHeaderKey(cfg.SignatureHeader), stamped: http.CanonicalHeaderKey(cfg.TimestampHeader), tolerance: cfg.SignatureTolerance,
	}, nil
}

// check returns nil if the body was signed, lately enough, with a secret that is valid. Each secret is tried, whichever fits.
func (s *signatures) check(in http.Header, body []byte, now time.Time) error {
	given, timestamp := first(in[s.header]), first(in[s.stamped])
	if given == "" {
		return errNoSignature
	}
	want, err := hex.DecodeString(strings.TrimPrefix(given, "sha256="))
	if err != nil || len(want) != sha256.Size {
		want = make([]byte, sha256.Size)
	}
	same := 0
	for _, one := range s.list.all() {
		same |= one.compare(timestamp, body, want)
	}
	switch {
	case same != 1 || err != nil:
		return errWrongSignature
	case !s.fresh(timestamp, now):
		return errBadTimestamp
	}
	return nil
}

// compare returns 1 if want is the signature that this secret makes, else 0.
func (s *signer) compare(timestamp string, body, want []byte) int {
	mac, _ := s.pool.Get().(hash.Hash)
	defer s.pool.Put(mac)
	mac.Reset()
	mac.Write([]byte(timestamp))
	mac.Write([]byte("."))
	mac.Write(body)
	var sum [sha256.Size]byte
	return subtle.ConstantTimeCompare(mac.Sum(sum[:0]), want)
}

func (s *signatures) fresh(timestamp string, now time.Time) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return false
	}
	return now.Sub(time.Unix(seconds, 0)).Abs() <= s.tolerance
}
