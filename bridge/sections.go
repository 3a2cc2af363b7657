package bridge

import "time"

type NATSConfig struct {
	Mode            string         `koanf:"mode"`
	URL             string         `koanf:"url"`
	CredentialsFile string         `koanf:"credentials_file"`
	NKeySeedFile    string         `koanf:"nkey_seed_file"`
	User            string         `koanf:"user"`
	Password        string         `koanf:"password"`
	PasswordFile    string         `koanf:"password_file"`
	Token           string         `koanf:"token"`
	TokenFile       string         `koanf:"token_file"`
	TLS             TLSConfig      `koanf:"tls"`
	Embedded        EmbeddedConfig `koanf:"embedded"`
}
type TLSConfig struct {
	CAFile   string `koanf:"ca_file"`
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
}
type EmbeddedConfig struct {
	Listen          string `koanf:"listen"`
	WebsocketListen string `koanf:"websocket_listen"`
	StoreDir        string `koanf:"store_dir"`
	ConfigFile      string `koanf:"config_file"`
	Sync            string `koanf:"sync"`
}

func (c NATSConfig) Check(report reporter) {}
func defaultNATS() NATSConfig {
	return NATSConfig{Mode: "embedded", URL: "nats://127.0.0.1:4222", Embedded: EmbeddedConfig{Listen: "127.0.0.1:4222", StoreDir: "data/nats", Sync: "always"}}
}

type WebhookConfig struct {
	Listen         string   `koanf:"listen"`
	PathTokens     []string `koanf:"path_tokens"`
	PathTokensFile string   `koanf:"path_tokens_file"`
	Subscriptions  []string `koanf:"subscriptions"`
	PublicURL      string   `koanf:"public_url"`
}

func (c WebhookConfig) Check(report reporter) {}
func defaultWebhook() WebhookConfig {
	return WebhookConfig{Listen: "127.0.0.1:8080", Subscriptions: []string{"conversation_created", "message_created"}}
}

type SpoolConfig struct {
	Dir      string `koanf:"dir"`
	MaxBytes int64  `koanf:"max_bytes"`
}

func (c SpoolConfig) Check(report reporter) {}
func defaultSpool() SpoolConfig             { return SpoolConfig{Dir: "data/spool", MaxBytes: 1 << 30} }

type CommandsConfig struct {
	Enabled       bool          `koanf:"enabled"`
	MaxInFlight   int           `koanf:"max_in_flight"`
	LeaseTTL      time.Duration `koanf:"lease_ttl"`
	LedgerTTL     time.Duration `koanf:"ledger_ttl"`
	ReplyPrefixes []string      `koanf:"reply_prefixes"`
}

func (c CommandsConfig) Check(report reporter) {}
func defaultCommands() CommandsConfig {
	return CommandsConfig{Enabled: true, MaxInFlight: 256, LeaseTTL: 10 * time.Second, LedgerTTL: 72 * time.Hour, ReplyPrefixes: []string{"_INBOX."}}
}
