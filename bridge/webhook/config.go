package webhook

import "time"

// Config is the section [webhook] of the configuration: how webhooks are taken in.
type Config struct {
	Listen            string   `koanf:"listen"`
	PathTokens        []string `koanf:"path_tokens"`
	PathTokensFile    string   `koanf:"path_tokens_file"`    // one a line; read again when it changes
	AllowWithoutToken bool     `koanf:"allow_without_token"` // run without any path token, whoever may send

	SignatureMode        string        `koanf:"signature_mode"` // off, log or enforce
	SignatureSecrets     []string      `koanf:"signature_secrets"`
	SignatureSecretsFile string        `koanf:"signature_secrets_file"` // one a line; read again when it changes
	SignatureHeader      string        `koanf:"signature_header"`
	TimestampHeader      string        `koanf:"timestamp_header"`
	SignatureTolerance   time.Duration `koanf:"signature_tolerance"` // how far the sender's clock may be off

	AllowNetworks   []string  `koanf:"allow_networks"`   // source networks that may send; empty for all
	TrustedProxies  []string  `koanf:"trusted_proxies"`  // networks whose forwarded_header is believed
	ForwardedHeader string    `koanf:"forwarded_header"` // in which a trusted proxy tells the source
	TLS             TLSConfig `koanf:"tls"`

	MaxBodyBytes      int64         `koanf:"max_body_bytes"`
	MaxHeaderBytes    int           `koanf:"max_header_bytes"`
	MaxConnections    int           `koanf:"max_connections"`     // beyond it the connection that is idle for longest is closed
	MaxInFlight       int           `koanf:"max_in_flight"`       // requests worked on at once
	MaxInFlightBytes  int64         `koanf:"max_in_flight_bytes"` // their bodies together
	ReadHeaderTimeout time.Duration `koanf:"read_header_timeout"`
	ReadTimeout       time.Duration `koanf:"read_timeout"` // of a whole request
	IdleTimeout       time.Duration `koanf:"idle_timeout"`
	AttemptTimeout    time.Duration `koanf:"attempt_timeout"` // of one attempt to publish
	StoreTimeout      time.Duration `koanf:"store_timeout"`   // of all attempts and the spool together; the vendor waits 5 s

	PublicURL     string   `koanf:"public_url"` // under which the vendor reaches this listener; set: the webhook is registered at start
	Subscriptions []string `koanf:"subscriptions"`

	MaxBotTurns     int      `koanf:"max_bot_turns"` // own messages a minute in a conversation before the loop guard marks it; 0 for never
	VolatileMembers []string `koanf:"volatile_members"`
	Fields          Fields   `koanf:"fields"`
}

// TLSConfig is the section [webhook.tls]. All files are read again when they change.
type TLSConfig struct {
	CertFile     string `koanf:"cert_file"`
	KeyFile      string `koanf:"key_file"`
	ClientCAFile string `koanf:"client_ca_file"` // set: senders must show a certificate that it signed
}

// Fields is the section [webhook.fields]: where things stand in the vendor's JSON. Each field is a gjson path, or several separated by
// spaces, of which the first that the body has counts. What is not found at the top is looked for below "data" and "payload".
type Fields struct {
	Event          string `koanf:"event"`
	MessageID      string `koanf:"message_id"`      // read on message events only
	ObjectID       string `koanf:"object_id"`       // the id of what any other event is about; on conversation events the conversation
	ConversationID string `koanf:"conversation_id"` // on conversation events the object id takes its place if it is missing
	InboxID        string `koanf:"inbox_id"`
	MessageType    string `koanf:"message_type"`
	Private        string `koanf:"private"`
	SenderType     string `koanf:"sender_type"`
	Content        string `koanf:"content"`
}

// Signature modes.
const (
	SignatureOff     = "off"     // signatures are not looked at
	SignatureLog     = "log"     // a wrong signature is logged and counted, and the event taken
	SignatureEnforce = "enforce" // a wrong signature is refused
)

// DefaultConfig returns the defaults. They are not complete: there is no path token.
func DefaultConfig() Config {
	return Config{
		Listen:          "127.0.0.1:8080",
		SignatureMode:   SignatureOff,
		SignatureHeader: "X-Chatwoot-Signature", TimestampHeader: "X-Chatwoot-Timestamp", SignatureTolerance: 5 * time.Minute,
		ForwardedHeader: "X-Forwarded-For",
		MaxBodyBytes:    4 << 20, MaxHeaderBytes: 16 << 10,
		MaxConnections: 4096, MaxInFlight: 1024, MaxInFlightBytes: 256 << 20,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 75 * time.Second,
		AttemptTimeout: time.Second, StoreTimeout: 4 * time.Second,
		Subscriptions: []string{"conversation_created", "message_created"},
		MaxBotTurns:   20,
		VolatileMembers: []string{
			"unread_count", "contact_last_seen_at", "agent_last_seen_at", "assignee_last_seen_at", "timestamp", "can_reply",
			"availability_status", "pubsub_token",
		},
		Fields: defaultFields(),
	}
}

func defaultFields() Fields {
	return Fields{
		Event: "event", MessageID: "id", ObjectID: "id",
		ConversationID: "conversation.id current_conversation.id conversation_id",
		InboxID:        "inbox.id inbox_id conversation.inbox_id",
		MessageType:    "message_type", Private: "private", SenderType: "sender.type sender_type", Content: "content",
	}
}
