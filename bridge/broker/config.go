package broker

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Modes of running NATS.
const (
	// Embedded runs a nats-server in this process.
	Embedded = "embedded"
	// External connects to nats-servers elsewhere.
	External = "external"
)

// Config says which NATS the bridge uses and who it is there. It is the section [nats] of the configuration.
type Config struct {
	// Mode is "embedded" or "external".
	Mode string `koanf:"mode"`
	// URL is the address of the external server; several are comma separated. The schemes are nats, tls, ws and wss.
	URL string `koanf:"url"`
	// CredentialsFile is a file with a user JWT and its seed, as "nsc" makes it. It is read at every connect.
	CredentialsFile string `koanf:"credentials_file"`
	// NKeySeedFile is a file with the seed of a user nkey. It is read at every connect.
	NKeySeedFile string `koanf:"nkey_seed_file"`
	// User and Password are a plain login. In embedded mode without a configuration file they are also what every client of the
	// embedded server has to give.
	User     string `koanf:"user"`
	Password string `koanf:"password"`
	// PasswordFile holds the password; it is read at every connect.
	PasswordFile string `koanf:"password_file"`
	// Token is a login by token, with the same meaning in embedded mode as User.
	Token string `koanf:"token"`
	// TokenFile holds the token; it is read at every connect.
	TokenFile string `koanf:"token_file"`
	// JetStreamDomain is the JetStream domain that holds the streams; empty for that of the server.
	JetStreamDomain string `koanf:"jetstream_domain"`
	// InboxPrefix is the prefix of the bridge's own reply subjects, for accounts that do not allow "_INBOX".
	InboxPrefix string `koanf:"inbox_prefix"`
	// TLS is for the connection to external servers.
	TLS TLSConfig `koanf:"tls"`
	// Embedded is for the embedded server.
	Embedded EmbeddedConfig `koanf:"embedded"`
}

// TLSConfig says how the connection to external servers is encrypted. Files are read at every connect.
type TLSConfig struct {
	// CAFile holds the certificates that sign the servers' ones; empty for those of the system.
	CAFile string `koanf:"ca_file"`
	// CertFile and KeyFile are the bridge's own certificate, for mutual TLS.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ServerName is the name expected in the server's certificate; empty for the host of the URL.
	ServerName string `koanf:"server_name"`
	// HandshakeFirst starts TLS before the server says anything, as servers with handshake_first want it.
	HandshakeFirst bool `koanf:"handshake_first"`
}

// EmbeddedConfig is for the server in this process.
type EmbeddedConfig struct {
	// Listen is where other clients connect, host:port. Empty: only this process can.
	Listen string `koanf:"listen"`
	// WebsocketListen is where browsers connect, host:port. Empty: nowhere.
	WebsocketListen string `koanf:"websocket_listen"`
	// StoreDir holds streams and consumers. One process at a time can use it.
	StoreDir string `koanf:"store_dir"`
	// MaxStoreBytes bounds the disk that streams take, in bytes. 0: three quarters of what is free or already taken by them.
	MaxStoreBytes int64 `koanf:"max_store_bytes"`
	// ConfigFile is an ordinary nats-server configuration, for accounts, TLS, leaf nodes and the like. What it sets goes before
	// the settings here. When it demands a login, the bridge logs in as one of its users by the keys of [nats], and the account
	// of that user needs JetStream.
	ConfigFile string `koanf:"config_file"`
	// Sync is "always", to have every message on disk before it is acknowledged, or how often to sync, such as "1s". With a
	// duration a power cut loses what was acknowledged since the last one.
	Sync string `koanf:"sync"`
}

// DefaultConfig is an embedded server on loopback that syncs always.
func DefaultConfig() Config {
	return Config{
		Mode: Embedded, URL: "nats://127.0.0.1:4222",
		Embedded: EmbeddedConfig{Listen: "127.0.0.1:4222", StoreDir: "data/nats", Sync: syncAlways},
	}
}

const syncAlways = "always"

// Check reports every value that cannot be right, with its key relative to the section.
func (c Config) Check(report func(key, rule string, value any)) {
	switch c.Mode {
	case Embedded:
		c.Embedded.check(report)
		c.checkStrangers(report)
		if c.CredentialsFile != "" && c.Embedded.ConfigFile == "" {
			report("credentials_file", "needs nats.embedded.config_file in embedded mode: a server without an operator knows no credentials", c.CredentialsFile)
		}
	case External:
		c.checkURLs(report)
	default:
		report("mode", "must be embedded or external", c.Mode)
	}
	c.checkIdentity(report)
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		report("tls.cert_file", "cert_file and key_file belong together", c.TLS.CertFile)
	}
	if strings.ContainsAny(c.InboxPrefix, "*> \t") || strings.HasSuffix(c.InboxPrefix, ".") {
		report("inbox_prefix", "must be a subject without wildcards", c.InboxPrefix)
	}
	if strings.ContainsAny(c.JetStreamDomain, ".*> \t") {
		report("jetstream_domain", "must be one token of a subject", c.JetStreamDomain)
	}
}

func (c Config) checkURLs(report func(key, rule string, value any)) {
	for _, address := range strings.Split(c.URL, ",") {
		address = strings.TrimSpace(address)
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			report("url", "must be URLs such as nats://host:4222, comma separated", hidePassword(address))
			continue
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			report("url", "scheme must be nats, tls, ws or wss", u.Redacted())
		}
	}
}

// hidePassword cuts a login out of an address that is no URL.
func hidePassword(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return "…" + address[at:]
	}
	return address
}

func (c Config) checkIdentity(report func(key, rule string, value any)) {
	identities := 0
	for _, set := range []bool{c.CredentialsFile != "", c.NKeySeedFile != "", c.User != "", c.Token != "" || c.TokenFile != ""} {
		if set {
			identities++
		}
	}
	if identities > 1 {
		report("user", "only one of credentials_file, nkey_seed_file, user and token can be set", c.User)
	}
	if c.User == "" && (c.Password != "" || c.PasswordFile != "") {
		report("user", "must be set when there is a password", "")
	}
	if c.User != "" && c.Password == "" && c.PasswordFile == "" {
		report("password", "must be set when there is a user", "")
	}
}

func (e EmbeddedConfig) check(report func(key, rule string, value any)) {
	if e.StoreDir == "" {
		report("embedded.store_dir", "must be a directory", e.StoreDir)
	}
	if e.MaxStoreBytes < 0 {
		report("embedded.max_store_bytes", "must not be negative", e.MaxStoreBytes)
	}
	if e.Listen != "" {
		checkListen("embedded.listen", e.Listen, report)
	}
	if e.WebsocketListen != "" {
		checkListen("embedded.websocket_listen", e.WebsocketListen, report)
	}
	if e.Sync != syncAlways {
		if d, err := time.ParseDuration(e.Sync); err != nil || d <= 0 {
			report("embedded.sync", `must be "always" or a positive duration`, e.Sync)
		}
	}
}

// checkStrangers refuses addresses under which everybody could use the server. With a configuration file only the server itself knows.
func (c Config) checkStrangers(report func(key, rule string, value any)) {
	if c.Embedded.ConfigFile != "" || c.User != "" || c.Token != "" || c.TokenFile != "" || c.NKeySeedFile != "" {
		return
	}
	for key, address := range map[string]string{"embedded.listen": c.Embedded.Listen, "embedded.websocket_listen": c.Embedded.WebsocketListen} {
		if host, _, err := splitAddress(address); err == nil && !loopback(host) {
			report(key, "must be on loopback, or clients must log in: set nats.user and nats.password, nats.token or nats.nkey_seed_file", address)
		}
	}
}

func checkListen(key, address string, report func(key, rule string, value any)) {
	if _, _, err := splitAddress(address); err != nil {
		report(key, "must be host:port", address)
	}
}

// splitAddress takes host:port apart. Port 0 is for any free port.
func splitAddress(address string) (string, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q is not 0 to 65535", port)
	}
	return host, int(number), nil
}
