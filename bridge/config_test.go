package bridge_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge"
)

// enough is the smallest configuration without a mistake.
const enough = `
[cx]
tenant_domain = "acme.cx.sangoma.com"
access_token  = "s3cret-access"
[webhook]
path_tokens = ["s3cret-path-token-0123456789"]
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string, environ ...string) (bridge.Config, error) {
	t.Helper()
	return bridge.LoadConfig(bridge.Sources{File: write(t, "cxbridge.toml", text), Environ: environ})
}

func problems(t *testing.T, err error) []bridge.Problem {
	t.Helper()
	var wrong *bridge.ConfigError
	if !errors.As(err, &wrong) {
		t.Fatalf("error = %v; want a ConfigError", err)
	}
	return wrong.Problems
}

func TestConfigLaterSourcesWin(t *testing.T) {
	path := write(t, "c.toml", strings.Replace(enough, "[webhook]", "timeout = \"1s\"\nrate_burst = 1\nrate_per_second = 7\n[webhook]", 1))
	cfg, err := bridge.LoadConfig(bridge.Sources{
		File:    path,
		Environ: []string{"CXBRIDGE_CX__TIMEOUT=2s", "CXBRIDGE_CX__RATE_BURST=2", "CXBRIDGE_COMMANDS__REPLY_PREFIXES=a., b.", "OTHER=1"},
		Flags:   map[string]string{"cx.rate_burst": "3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.CX.RatePerSecond != 7 || cfg.CX.Timeout != 2*time.Second || cfg.CX.RateBurst != 3 {
		t.Errorf("file, environment, flag = %v, %v, %v; want 7, 2s, 3", cfg.CX.RatePerSecond, cfg.CX.Timeout, cfg.CX.RateBurst)
	}
	if got := strings.Join(cfg.Commands.ReplyPrefixes, "|"); got != "a.|b." {
		t.Errorf("list from the environment = %q", got)
	}
	if cfg.Admin.Listen != "127.0.0.1:8081" {
		t.Errorf("default = %q", cfg.Admin.Listen)
	}
}

func TestConfigAShorterListReplacesTheDefault(t *testing.T) {
	cfg, err := load(t, enough+"subscriptions = [\"message_created\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Webhook.Subscriptions) != 1 {
		t.Errorf("subscriptions = %q", cfg.Webhook.Subscriptions)
	}
}

func TestConfigWithoutAnyFile(t *testing.T) {
	_, err := bridge.LoadConfig(bridge.Sources{Environ: []string{
		"CXBRIDGE_CX__TENANT_DOMAIN=acme.cx.sangoma.com", "CXBRIDGE_CX__ACCESS_TOKEN=t", "CXBRIDGE_WEBHOOK__PATH_TOKENS=s3cret-path-token-0123456789",
		// Kubernetes sets these beside a service of the same name.
		"CXBRIDGE_SERVICE_HOST=10.0.0.1", "CXBRIDGE_SERVICE_PORT_HTTP=8080", "CXBRIDGE_PORT=tcp://10.0.0.1:8080", "CXBRIDGE_PORT_8080_TCP_ADDR=10.0.0.1",
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConfigNamesEachMistake(t *testing.T) {
	mistakes := []struct {
		name, file string // file is added to the smallest configuration
		environ    []string
		flags      map[string]string
		key        string
		want       []string
	}{
		{name: "unknown key", file: "[streams]\nreplica = 3", key: "streams.replica", want: []string{"no such key", "streams.replicas", "c.toml:8"}},
		{name: "unknown table", file: "[stream]\nreplicas = 3", key: "stream", want: []string{"no such key", "c.toml:7"}},
		{name: "unknown variable", environ: []string{"CXBRIDGE_CX__TENANT=x"}, key: "cx.tenant", want: []string{"no such key", "CXBRIDGE_CX__TENANT"}},
		{name: "number for a string", file: "[log]\nlevel = 7", key: "log.level", want: []string{"must be a string", "not 7", "c.toml:8"}},
		{name: "string for a number", file: "[streams]\nreplicas = \"3\"", key: "streams.replicas", want: []string{"whole number", `"3"`, "c.toml:8"}},
		{name: "fraction for a whole number", file: "[streams]\nreplicas = 1.5", key: "streams.replicas", want: []string{"whole number", "1.5"}},
		{name: "string for a truth", file: "[subjects]\nkeyed = \"yes\"", key: "subjects.keyed", want: []string{"true or false"}},
		{name: "number for a duration", file: "[streams]\nevents_max_age = 168", key: "streams.events_max_age", want: []string{"duration", "168"}},
		{name: "duration without a unit", file: "[streams]\nevents_max_age = \"168\"", key: "streams.events_max_age", want: []string{"duration", `"168"`}},
		{name: "string for a list", file: "[commands]\nreply_prefixes = \"a.\"", key: "commands.reply_prefixes", want: []string{"list of strings"}},
		{name: "list of numbers", file: "[commands]\nreply_prefixes = [1]", key: "commands.reply_prefixes", want: []string{"list of strings"}},
		{name: "value for a table", file: "[nats]\nembedded = 1", key: "nats.embedded", want: []string{"must be a table", "c.toml:8"}},
		{name: "table for a value", file: "[streams.replicas]\nx = 1", key: "streams.replicas", want: []string{"whole number"}},
		{name: "wrong type in a variable", environ: []string{"CXBRIDGE_COMMANDS__ENABLED=yes"}, key: "commands.enabled", want: []string{"true or false", `"yes"`, "CXBRIDGE_COMMANDS__ENABLED"}},
		{name: "wrong type in a flag", flags: map[string]string{"cx.rate_burst": "many"}, key: "cx.rate_burst", want: []string{"whole number", `"many"`, "--cx.rate_burst"}},
		{name: "placeholder", file: "[subjects]\nprefix = \"${PREFIX}\"", key: "subjects.prefix", want: []string{"placeholder"}},
		{name: "item of a list", environ: []string{"CXBRIDGE_WEBHOOK__PATH_TOKENS=good,s3cret/bad"}, key: "webhook.path_tokens[1]", want: []string{"CXBRIDGE_WEBHOOK__PATH_TOKENS"}},
		{name: "placeholder in a secret", environ: []string{"CXBRIDGE_NATS__TOKEN=$S3CRET"}, key: "nats.token", want: []string{"placeholder"}},
		{name: "password in a URL", environ: []string{"CXBRIDGE_NATS__MODE=external", "CXBRIDGE_NATS__URL=http://u:s3cret@host"}, key: "nats.url", want: []string{"scheme"}},
		{name: "empty secret in a variable", environ: []string{"CXBRIDGE_NATS__TOKEN="}, key: "nats.token", want: []string{"is a secret and must not be empty", "CXBRIDGE_NATS__TOKEN"}},
		{name: "blank secret", file: "[nats]\ntoken = \" \"", key: "nats.token", want: []string{"is a secret and must not be empty"}},
		{name: "one address for both listeners", environ: []string{"CXBRIDGE_WEBHOOK__LISTEN=:9000", "CXBRIDGE_ADMIN__LISTEN=127.0.0.1:9000"}, key: "admin.listen", want: []string{"webhook.listen", "127.0.0.1:9000"}},
		{name: "both twins", file: "[admin]\ntoken = \"s3cret\"\ntoken_file = \"/dev/null\"", key: "admin.token_file", want: []string{"together with admin.token"}},
		{name: "secret file away", file: "[admin]\ntoken_file = \"no-such-file\"", key: "admin.token_file", want: []string{"cannot be read", "no-such-file"}},
		{name: "secret file empty", file: "[admin]\ntoken_file = \"/dev/null\"", key: "admin.token_file", want: []string{"empty file"}},
		{name: "secret file is a directory", file: "[admin]\ntoken_file = \"/\"", key: "admin.token_file", want: []string{"must name a file"}},
		{name: "base URL", environ: []string{"CXBRIDGE_CX__BASE_URL=cpaas.sangoma.com"}, key: "cx.base_url", want: []string{"http or https"}},
		{name: "tenant", environ: []string{"CXBRIDGE_CX__TENANT_DOMAIN=https://acme"}, key: "cx.tenant_domain", want: []string{"domain of your tenant"}},
		{name: "prefix", environ: []string{"CXBRIDGE_SUBJECTS__PREFIX=CX.>"}, key: "subjects.prefix", want: []string{"joined by '.'"}},
		{name: "two ways to a token", environ: []string{"CXBRIDGE_CX__OAUTH__CLIENT_ID=a"}, key: "cx.access_token", want: []string{"together with cx.oauth"}},
		{name: "replicas", environ: []string{"CXBRIDGE_STREAMS__REPLICAS=0"}, key: "streams.replicas", want: []string{"1 to 5"}},
		{name: "age", environ: []string{"CXBRIDGE_STREAMS__DEAD_MAX_AGE=1s"}, key: "streams.dead_max_age", want: []string{"at least 1m", `"1s"`}},
		{name: "window", environ: []string{"CXBRIDGE_STREAMS__DUPLICATE_WINDOW=200h"}, key: "streams.duplicate_window", want: []string{"events_max_age"}},
		{name: "admin beyond loopback", environ: []string{"CXBRIDGE_ADMIN__LISTEN=0.0.0.0:8081"}, key: "admin.listen", want: []string{"loopback", "admin.token", "admin.tls.client_ca_file"}},
		{name: "admin certificate without its key", environ: []string{"CXBRIDGE_ADMIN__TLS__CERT_FILE=x.pem"}, key: "admin.tls.cert_file", want: []string{"key_file"}},
		{name: "admin clients without a certificate", environ: []string{"CXBRIDGE_ADMIN__TLS__CLIENT_CA_FILE=x.pem"}, key: "admin.tls.client_ca_file", want: []string{"cert_file"}},
		{name: "admin address", environ: []string{"CXBRIDGE_ADMIN__LISTEN=8081"}, key: "admin.listen", want: []string{"host:port"}},
		{name: "level", environ: []string{"CXBRIDGE_LOG__LEVEL=loud"}, key: "log.level", want: []string{"debug, info"}},
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			_, err := bridge.LoadConfig(bridge.Sources{File: write(t, "c.toml", enough+m.file), Environ: m.environ, Flags: m.flags})
			found := problems(t, err)
			if len(found) != 1 || found[0].Key != m.key {
				t.Fatalf("problems = %v; want one of %s", found, m.key)
			}
			for _, want := range m.want {
				if !strings.Contains(found[0].String(), want) {
					t.Errorf("%q does not tell %q", found[0], want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

// TestConfigSecretsOfHeaders: what cannot be sent is refused before it is, and never shown.
func TestConfigSecretsOfHeaders(t *testing.T) {
	const oauth = "[cx.oauth]\nclient_id = \"me\"\n"
	for name, c := range map[string]struct{ file, secret, key string }{
		"token with a line break":   {"", "s3cret\r\nX-Evil: yes", "cx.access_token"},
		"token with its line's end": {"", "s3cret\n", "cx.access_token"},
		"token with white space":    {"", "s3 cret", "cx.access_token"},
		"token beyond ASCII":        {"", "s3crét", "cx.access_token"},
		"secret of OAuth":           {oauth, "s3cret\nmore", "cx.oauth.client_secret"},
		"admin token":               {"", "s3cret\x00", "admin.token"},
	} {
		t.Run(name, func(t *testing.T) {
			variable := "CXBRIDGE_" + strings.ToUpper(strings.ReplaceAll(c.key, ".", "__"))
			begin := enough + c.file
			if strings.HasPrefix(c.key, "cx.") {
				begin = strings.Replace(begin, "access_token", "#", 1)
			}
			for source, environ := range map[string]string{
				c.key: variable + "=" + c.secret, c.key + "_file": variable + "_FILE=" + write(t, "secret", c.secret+"|\n"),
			} {
				_, err := load(t, begin, environ)
				all := problems(t, err)
				if len(all) != 1 || all[0].Key != source || !strings.Contains(all[0].Rule, "control character") {
					t.Errorf("%v", err)
				}
				if strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "X-Evil") {
					t.Errorf("shows the secret: %v", err)
				}
			}
		})
	}
	if _, err := load(t, strings.Replace(enough, "access_token", "#", 1), "CXBRIDGE_CX__ACCESS_TOKEN_FILE="+write(t, "token", " s3cret\r\n")); err != nil {
		t.Errorf("white space around a token in a file: %v", err)
	}
}

func TestConfigTellsAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "[cx]\ntimeout = 5\nfoo = 1\n[streams]\nreplicas = 9\n", "CXBRIDGE_LOG__FORMAT=xml")
	var keys []string
	for _, p := range problems(t, err) {
		keys = append(keys, p.Key)
	}
	for _, want := range []string{"cx.timeout", "cx.foo", "cx.tenant_domain", "cx.access_token", "streams.replicas", "log.format"} {
		if !strings.Contains(strings.Join(keys, " "), want) {
			t.Errorf("%s is missing among %q", want, keys)
		}
	}
}

func TestConfigMalformedFile(t *testing.T) {
	_, err := load(t, "[cx]\naccess_token = \"s3cret\n")
	if got := err.Error(); !strings.Contains(got, "cxbridge.toml:2:") || strings.Contains(got, "s3cret") {
		t.Errorf("error = %v", err)
	}
	_, err = bridge.LoadConfig(bridge.Sources{File: filepath.Join(t.TempDir(), "away.toml")})
	if got := problems(t, err); !strings.Contains(got[0].String(), "away.toml") {
		t.Errorf("problems = %v", got)
	}
}

func TestConfigSecretsFromFiles(t *testing.T) {
	token, paths := write(t, "token", "  s3cret\n"), write(t, "paths", "first-token-0123456789\n\nsecond-token-0123456789\n")
	cfg, err := bridge.LoadConfig(bridge.Sources{Environ: []string{
		"CXBRIDGE_CX__TENANT_DOMAIN=acme.cx.sangoma.com", "CXBRIDGE_CX__ACCESS_TOKEN_FILE=" + token, "CXBRIDGE_WEBHOOK__PATH_TOKENS_FILE=" + paths,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.CX.AccessTokenFile != token || cfg.Webhook.PathTokensFile != paths {
		t.Errorf("files = %q, %q", cfg.CX.AccessTokenFile, cfg.Webhook.PathTokensFile)
	}
}

func TestConfigOfAnInlineTableAndDottedKeys(t *testing.T) {
	_, err := load(t, "cx = { tenant_domain = \"acme.cx.sangoma.com\", timeout = 5 }\nstreams.replicas = \"x\"\n")
	all := err.Error()
	for _, want := range []string{"cx.timeout: ", "cxbridge.toml:1", "streams.replicas: ", "cxbridge.toml:2"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %s", want, all)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(enough, "CXBRIDGE_CX__TIMEOUT=2s")
	f.Add("[cx]\nbase_url = 7\n[[nats]]\n", "CXBRIDGE_=x")
	f.Add("a.b.c = {d = [1, {e = \"s3cret\"}]}\ncx.oauth.scopes = [[]]", "CXBRIDGE_CX=x")
	f.Add("[webhook]\npath_tokens = [\"\"]\n\x00", "CXBRIDGE_WEBHOOK__PATH_TOKENS=a,,b")
	f.Fuzz(func(t *testing.T, text, variable string) {
		path := filepath.Join(t.TempDir(), "f.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := bridge.LoadConfig(bridge.Sources{File: path, Environ: []string{variable}})
		var wrong *bridge.ConfigError
		if err != nil && (!errors.As(err, &wrong) || len(wrong.Problems) == 0) {
			t.Fatalf("error = %v; want a ConfigError with problems", err)
		}
	})
}

func TestConfigListenersMayShareAHostOrAPort(t *testing.T) {
	for _, test := range []struct {
		webhook, admin string
		fine           bool
	}{
		{"127.0.0.1:0", "127.0.0.1:0", true},
		{"127.0.0.1:9000", "127.0.0.1:9001", true},
		{"192.0.2.1:9000", "127.0.0.1:9000", true},
		{"127.0.0.1:9000", "127.0.0.1:9000", false},
		{"localhost:9000", "127.0.0.1:9000", false},
		{"0.0.0.0:9000", "localhost:9000", false},
	} {
		_, err := load(t, enough, "CXBRIDGE_WEBHOOK__LISTEN="+test.webhook, "CXBRIDGE_ADMIN__LISTEN="+test.admin)
		if (err == nil) != test.fine {
			t.Errorf("%s and %s: %v", test.webhook, test.admin, err)
		}
	}
}
