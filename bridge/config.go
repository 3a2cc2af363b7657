package bridge

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/command"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/bridge/spool"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/bridge/webhook"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// DefaultGrace is how long a soft stop may take unless told otherwise.
const DefaultGrace = 15 * time.Second

// Config is the whole configuration of a bridge. Each component owns its section; [LoadConfig] reads it.
type Config struct {
	CX       CXConfig         `koanf:"cx"`
	NATS     broker.Config    `koanf:"nats"`
	Subjects SubjectsConfig   `koanf:"subjects"`
	Streams  StreamsConfig    `koanf:"streams"`
	Webhook  webhook.Config   `koanf:"webhook"`
	Spool    spool.Config     `koanf:"spool"`
	Commands command.Config   `koanf:"commands"`
	RPC      rpc.Config       `koanf:"rpc"`
	Admin    AdminConfig      `koanf:"admin"`
	Log      telemetry.Config `koanf:"log"`

	// Grace is how long a soft stop may take to finish what is in hand. It is a flag of the command line, no key.
	Grace time.Duration `koanf:"-"`
}

// DefaultConfig returns a configuration in which everything has its default. It is not complete: the tenant, a token for the API and a
// path token for webhooks have none.
func DefaultConfig() Config {
	return Config{
		CX: defaultCX(), NATS: broker.DefaultConfig(), Subjects: SubjectsConfig{Prefix: subjects.DefaultPrefix}, Streams: defaultStreams(),
		Webhook: webhook.DefaultConfig(), Spool: spool.DefaultConfig(), Commands: command.DefaultConfig(), Admin: AdminConfig{Listen: "127.0.0.1:8081"},
		RPC: rpc.DefaultConfig(), Log: telemetry.DefaultConfig(), Grace: DefaultGrace,
	}
}

// CXConfig says how to reach the API of Sangoma CX.
type CXConfig struct {
	BaseURL         string        `koanf:"base_url"`
	TenantDomain    string        `koanf:"tenant_domain"`
	AccessToken     string        `koanf:"access_token"`
	AccessTokenFile string        `koanf:"access_token_file"` // read again when it changes
	Timeout         time.Duration `koanf:"timeout"`           // of one call
	RatePerSecond   float64       `koanf:"rate_per_second"`   // calls a second; 0 for no limit
	RateBurst       int           `koanf:"rate_burst"`        // calls that may be made at once before the rate counts
	OAuth           OAuthConfig   `koanf:"oauth"`
}

// OAuthConfig says how to get tokens by OAuth 2.0 client credentials, instead of a fixed token.
type OAuthConfig struct {
	TokenURL         string   `koanf:"token_url"`
	ClientID         string   `koanf:"client_id"`
	ClientSecret     string   `koanf:"client_secret"`
	ClientSecretFile string   `koanf:"client_secret_file"`
	Scopes           []string `koanf:"scopes"`
	CacheFile        string   `koanf:"cache_file"` // keeps the token across restarts, readable by its owner only; empty for none
}

func defaultCX() CXConfig {
	return CXConfig{
		BaseURL: cxapi.DefaultBaseURL, Timeout: 10 * time.Second, RatePerSecond: 10, RateBurst: 20,
		OAuth: OAuthConfig{TokenURL: cxapi.DefaultTokenURL, Scopes: []string{cxapi.Scope}},
	}
}

// SubjectsConfig says how subjects are named.
type SubjectsConfig struct {
	Prefix string `koanf:"prefix"`
	Keyed  bool   `koanf:"keyed"` // events on <prefix>.event.<noun>.<verb>.<inbox id>.<conversation id>
}

// StreamsConfig says how streams are made.
type StreamsConfig struct {
	Replicas        int           `koanf:"replicas"`
	EventsMaxAge    time.Duration `koanf:"events_max_age"`
	ResultsMaxAge   time.Duration `koanf:"results_max_age"`
	DeadMaxAge      time.Duration `koanf:"dead_max_age"`
	DuplicateWindow time.Duration `koanf:"duplicate_window"`
	PlacementTags   []string      `koanf:"placement_tags"` // of the servers in a cluster that keep the streams; empty for any
}

func defaultStreams() StreamsConfig {
	const day = 24 * time.Hour
	return StreamsConfig{Replicas: 1, EventsMaxAge: 7 * day, ResultsMaxAge: day, DeadMaxAge: 30 * day, DuplicateWindow: time.Hour}
}

// AdminConfig says where the admin listener is.
type AdminConfig struct {
	Listen    string `koanf:"listen"`
	Token     string `koanf:"token"` // asked for as a bearer token; needed beyond loopback
	TokenFile string `koanf:"token_file"`

	TLS webhook.TLSConfig `koanf:"tls"` // as the other listener's
}

type reporter = func(key, rule string, value any)

// section returns a reporter that puts the name of a section before each key.
func section(name string, report reporter) reporter {
	return func(key, rule string, value any) { report(name+"."+key, rule, value) }
}

// check reports every value that is wrong.
func (c Config) check(report reporter) {
	c.CX.check(c.needsAPI(), section("cx", report))
	c.NATS.Check(section("nats", report))
	c.Subjects.check(section("subjects", report))
	c.Streams.check(section("streams", report))
	c.Webhook.Check(section("webhook", report))
	c.Spool.Check(section("spool", report))
	c.Commands.Check(section("commands", report))
	c.RPC.Check(section("rpc", report))
	c.Admin.check(section("admin", report))
	if sameAddress(c.Admin.Listen, c.Webhook.Listen) {
		report("admin.listen", "must be another address than webhook.listen", c.Admin.Listen)
	}
	c.Log.Check(section("log", report))
}

// needsAPI reports whether this bridge makes calls at the API.
func (c Config) needsAPI() bool { return c.Commands.Enabled || c.Webhook.PublicURL != "" }

func (c CXConfig) check(needed bool, report reporter) {
	checkURL("base_url", c.BaseURL, report)
	if !isDomain(c.TenantDomain) {
		report("tenant_domain", `must be the domain of your tenant, such as "acme.cx.sangoma.com"`, c.TenantDomain)
	}
	if c.Timeout <= 0 {
		report("timeout", "must be more than 0", c.Timeout)
	}
	if c.RatePerSecond < 0 {
		report("rate_per_second", "must not be negative (0 is no limit)", c.RatePerSecond)
	}
	if c.RateBurst < 1 {
		report("rate_burst", "must be at least 1", c.RateBurst)
	}
	if needed {
		c.checkAccess(report)
	}
}

// checkAccess asks for exactly one way to a token.
func (c CXConfig) checkAccess(report reporter) {
	token, oauth := c.AccessToken != "" || c.AccessTokenFile != "", c.OAuth.ClientID != "" || c.OAuth.ClientSecret != "" || c.OAuth.ClientSecretFile != ""
	switch {
	case token && oauth:
		report("access_token", "must not be set together with cx.oauth", nil)
	case !token && !oauth:
		report("access_token", "is a secret that must be set: give access_token, access_token_file, or client_id and client_secret in cx.oauth", nil)
	case oauth:
		c.OAuth.check(section("oauth", report))
	default:
		checkSecret("cx.access_token", c.AccessToken, report)
	}
}

func (c OAuthConfig) check(report reporter) {
	checkURL("token_url", c.TokenURL, report)
	if c.ClientID == "" {
		report("client_id", "must be set together with client_secret", c.ClientID)
	}
	if c.ClientSecret == "" && c.ClientSecretFile == "" {
		report("client_secret", "is a secret that must be set together with client_id", nil)
	}
	checkSecret("cx.oauth.client_secret", c.ClientSecret, report)
}

func (c SubjectsConfig) check(report reporter) {
	if _, err := subjects.New(c.Prefix); err != nil {
		report("prefix", "must be tokens of a-z, 0-9, '_' and '-' joined by '.', 100 characters at most", c.Prefix)
	}
}

func (c StreamsConfig) check(report reporter) {
	if c.Replicas < 1 || c.Replicas > 5 {
		report("replicas", "must be 1 to 5", c.Replicas)
	}
	ages := []struct {
		key string
		age time.Duration
	}{{"events_max_age", c.EventsMaxAge}, {"results_max_age", c.ResultsMaxAge}, {"dead_max_age", c.DeadMaxAge}}
	for _, a := range ages {
		if a.age < time.Minute {
			report(a.key, "must be at least 1m", a.age)
		}
	}
	for i, tag := range c.PlacementTags {
		if tag == "" || strings.ContainsAny(tag, " \t\r\n,") {
			report(fmt.Sprintf("placement_tags[%d]", i), "must be a tag of servers, without white space and ','", tag)
		}
	}
	if c.DuplicateWindow < time.Minute {
		report("duplicate_window", "must be at least 1m", c.DuplicateWindow)
	} else if c.EventsMaxAge >= time.Minute && c.DuplicateWindow > c.EventsMaxAge {
		report("duplicate_window", "must not be longer than streams.events_max_age", c.DuplicateWindow)
	}
}

func (c AdminConfig) check(report reporter) {
	c.TLS.Check(func(key, rule string, value any) { report(strings.TrimSuffix("tls."+key, "."), rule, value) })
	checkSecret("admin.token", c.Token, report)
	if !checkAddress("listen", c.Listen, report) {
		return
	}
	if !onLoopback(c.Listen) && c.Token == "" && c.TokenFile == "" && c.TLS.ClientCAFile == "" {
		report("listen", "must be on loopback, or admin.token or admin.tls.client_ca_file must be set", c.Listen)
	}
}

func checkURL(key, value string, report reporter) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		report(key, "must be an http or https URL", value)
		return
	}
	if u.User != nil {
		report(key, "must not hold a user or a password", value)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		report(key, "must not have a query or a fragment", value)
	}
}

// isDomain accepts host names; the bridge sends the tenant's domain, it never resolves it.
func isDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return false
		}
	}
	return true
}

func checkAddress(key, address string, report reporter) bool {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		report(key, `must be host:port, such as "127.0.0.1:8081"`, address)
	}
	return err == nil
}

// sameAddress reports whether two listeners cannot both be there. Port 0 is any port that is free.
func sameAddress(one, other string) bool {
	host, port, err := net.SplitHostPort(one)
	otherHost, otherPort, otherErr := net.SplitHostPort(other)
	if err != nil || otherErr != nil || port != otherPort || port == "0" {
		return false
	}
	everywhere := func(host string) bool { ip := net.ParseIP(host); return host == "" || ip != nil && ip.IsUnspecified() }
	return host == otherHost || everywhere(host) || everywhere(otherHost) || onLoopback(one) && onLoopback(other) && (host == "localhost" || otherHost == "localhost")
}

// onLoopback reports whether an address can only be reached from this machine.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
