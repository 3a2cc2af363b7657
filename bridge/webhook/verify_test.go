package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func sign(secret, timestamp, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + body))
	return hex.EncodeToString(mac.Sum(nil))
}

func signing(mode string) func(*Config, *Deps) {
	return func(c *Config, _ *Deps) {
		c.SignatureMode, c.SignatureSecrets = mode, []string{"old secret", "new secret"}
	}
}

func TestSignatures(t *testing.T) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	old := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	future := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	for name, test := range map[string]struct {
		signature, timestamp string
		good                 bool
	}{
		"right":                  {"sha256=" + sign("old secret", now, incoming), now, true},
		"right, the other one":   {"sha256=" + sign("new secret", now, incoming), now, true},
		"right, without a name":  {sign("new secret", now, incoming), now, true},
		"right, upper case":      {"sha256=" + strings.ToUpper(sign("new secret", now, incoming)), now, true},
		"wrong secret":           {"sha256=" + sign("other secret", now, incoming), now, false},
		"of another body":        {"sha256=" + sign("new secret", now, conversation), now, false},
		"of another time":        {"sha256=" + sign("new secret", old, incoming), now, false},
		"too old":                {"sha256=" + sign("new secret", old, incoming), old, false},
		"from the future":        {"sha256=" + sign("new secret", future, incoming), future, false},
		"no time":                {"sha256=" + sign("new secret", "", incoming), "", false},
		"a time that is none":    {"sha256=" + sign("new secret", "now", incoming), "now", false},
		"cut":                    {"sha256=" + sign("new secret", now, incoming)[:32], now, false},
		"no hex":                 {"sha256=zz", now, false},
		"none":                   {"", now, false},
		"of nothing but zeros":   {"sha256=" + strings.Repeat("0", 64), now, false},
		"no hex, of full length": {"sha256=" + strings.Repeat("z", 64), now, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []string{SignatureOff, SignatureLog, SignatureEnforce} {
				h := setup(t, signing(mode))
				w := h.post(incoming, "X-Chatwoot-Signature", test.signature, "X-Chatwoot-Timestamp", test.timestamp)
				if taken := test.good || mode != SignatureEnforce; !taken {
					checkProblem(t, w, http.StatusUnauthorized)
				} else if w.Code != http.StatusOK {
					t.Errorf("%s: answer %d", mode, w.Code)
				}
				if noted := strings.Contains(h.log.String(), "bad signature"); noted != (!test.good && mode != SignatureOff) {
					t.Errorf("%s: log %s", mode, h.log)
				}
				if strings.Contains(h.log.String(), "secret") {
					t.Errorf("%s: the log tells a secret: %s", mode, h.log)
				}
				if n := len(h.bus.messages()); (n == 1) != (test.good || mode != SignatureEnforce) {
					t.Errorf("%s: %d messages", mode, n)
				}
			}
		})
	}
}

func TestHeaderNamesAreConfigurable(t *testing.T) {
	h := setup(t, func(c *Config, d *Deps) {
		signing(SignatureEnforce)(c, d)
		c.SignatureHeader, c.TimestampHeader = "x-cx-sign", "x-cx-time"
	})
	now := strconv.FormatInt(time.Now().Unix(), 10)
	if w := h.post(incoming, "X-Cx-Sign", sign("new secret", now, incoming), "X-Cx-Time", now); w.Code != http.StatusOK {
		t.Errorf("answer %d", w.Code)
	}
}

func TestSeveralPathTokensAreValid(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.PathTokens = []string{"one", "two"} })
	for path, want := range map[string]int{"one": 200, "two": 200, "three": 401, "": 401, "onetwo": 401, "One": 401} {
		if w := h.send("POST", Path+path, incoming); w.Code != want {
			t.Errorf("%q: answer %d, want %d", path, w.Code, want)
		}
	}
}

func TestWithoutATokenEverybodyMaySendIfToldSo(t *testing.T) {
	h := setup(t, func(c *Config, _ *Deps) { c.PathTokens, c.AllowWithoutToken = nil, true })
	for _, path := range []string{Path, Path + "anything"} {
		if w := h.send("POST", path, incoming); w.Code != http.StatusOK {
			t.Errorf("%q: answer %d", path, w.Code)
		}
	}
}

// The tokens of a file replace each other; a file that is gone or empty changes nothing.
func TestATokenFileIsReadAgainWhenItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	write(t, file, "one\n\n two \n")
	synctest.Test(t, func(t *testing.T) {
		h := setup(t, func(c *Config, _ *Deps) { c.PathTokens, c.PathTokensFile = nil, file })
		check := func(token string, want int) {
			t.Helper()
			if w := h.send("POST", Path+token, incoming); w.Code != want {
				t.Errorf("%s: answer %d, want %d", token, w.Code, want)
			}
		}
		check("one", 200)
		check("two", 200)
		check("three", 401)
		write(t, file, "three three")
		write(t, file, "three")
		time.Sleep(2 * lookEvery)
		check("three", 200)
		check("one", 401)
		write(t, file, "\n")
		time.Sleep(2 * lookEvery)
		check("three", 200)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		check("three", 200)
		if strings.Contains(h.log.String(), "three") {
			t.Errorf("the log tells a token: %s", h.log)
		}
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAMissingTokenFileIsAnError(t *testing.T) {
	cfg := DefaultConfig()
	cfg.PathTokensFile = filepath.Join(t.TempDir(), "none")
	if _, err := New(cfg, Deps{}); err == nil {
		t.Error("there was no error")
	}
}
