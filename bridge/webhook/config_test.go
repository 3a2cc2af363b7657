package webhook

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func problems(c Config) (keys []string) {
	c.Check(func(key, rule string, value any) {
		keys = append(keys, key)
		if strings.Contains(fmt.Sprint(rule, value), "s3cret") {
			panic("a secret is told")
		}
	})
	slices.Sort(keys)
	return keys
}

func TestTheDefaultsOnlyLackAToken(t *testing.T) {
	cfg := DefaultConfig()
	if got := problems(cfg); !slices.Equal(got, []string{"path_tokens"}) {
		t.Errorf("problems %v", got)
	}
	cfg.PathTokensFile = "tokens"
	if got := problems(cfg); len(got) != 0 {
		t.Errorf("problems %v", got)
	}
}

func TestAPathTokenOfAFileThatCannotBeUsedIsReported(t *testing.T) {
	cfg := DefaultConfig()
	cfg.PathTokensFile = filepath.Join(t.TempDir(), "tokens")
	write(t, cfg.PathTokensFile, "good\ns3cret/with a slash\n")
	if got := problems(cfg); !slices.Equal(got, []string{"path_tokens_file"}) {
		t.Errorf("problems %v", got)
	}
	if _, err := newPathTokens(cfg, slog.New(slog.DiscardHandler)); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}

func TestEachMistakeIsReported(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"listen":                 func(c *Config) { c.Listen = "8080" },
		"path_tokens[1]":         func(c *Config) { c.PathTokens = []string{"good", "s3cret/with a slash"} },
		"signature_mode":         func(c *Config) { c.SignatureMode = "on" },
		"signature_secrets":      func(c *Config) { c.SignatureMode = SignatureEnforce },
		"signature_secrets[0]":   func(c *Config) { c.SignatureSecrets = []string{" "} },
		"signature_header":       func(c *Config) { c.SignatureHeader = "a b" },
		"timestamp_header":       func(c *Config) { c.TimestampHeader = "" },
		"forwarded_header":       func(c *Config) { c.ForwardedHeader = "a:" },
		"signature_tolerance":    func(c *Config) { c.SignatureTolerance = 0 },
		"allow_networks[0]":      func(c *Config) { c.AllowNetworks = []string{"somewhere"} },
		"trusted_proxies[1]":     func(c *Config) { c.TrustedProxies = []string{"10.0.0.1", "10.0.0.0/33"} },
		"max_body_bytes":         func(c *Config) { c.MaxBodyBytes = 0 },
		"max_header_bytes":       func(c *Config) { c.MaxHeaderBytes = 0 },
		"max_connections":        func(c *Config) { c.MaxConnections = -1 },
		"max_in_flight":          func(c *Config) { c.MaxInFlight = 0 },
		"max_in_flight_bytes":    func(c *Config) { c.MaxInFlightBytes = 1 },
		"read_header_timeout":    func(c *Config) { c.ReadHeaderTimeout = 0 },
		"read_timeout":           func(c *Config) { c.ReadTimeout = 0 },
		"idle_timeout":           func(c *Config) { c.IdleTimeout = -1 },
		"attempt_timeout":        func(c *Config) { c.AttemptTimeout = 0 },
		"store_timeout":          func(c *Config) { c.StoreTimeout = time.Second },
		"max_bot_turns":          func(c *Config) { c.MaxBotTurns = -1 },
		"tls.cert_file":          func(c *Config) { c.TLS.KeyFile = "x" },
		"tls.client_ca_file":     func(c *Config) { c.TLS.ClientCAFile = "x" },
		"tls":                    func(c *Config) { c.TLS.CertFile, c.TLS.KeyFile = "none", "none" },
		"public_url":             func(c *Config) { c.PublicURL = "bridge.example.test" },
		"subscriptions":          func(c *Config) { c.PublicURL, c.Subscriptions = "https://bridge.example.test", nil },
		"fields.event":           func(c *Config) { c.Fields.Event = "" },
		"fields.conversation_id": func(c *Config) { c.Fields.ConversationID = strings.Repeat("a ", 40) },
	} {
		cfg := DefaultConfig()
		cfg.PathTokens = []string{"s3cret"}
		spoil(&cfg)
		if got := problems(cfg); !slices.Equal(got, []string{key}) {
			t.Errorf("problems %v, want %s", got, key)
		}
	}
}
