package cxsim

import "time"

// Defaults of [Options].
const (
	DefaultTenant       = "acme.cx.sangoma.com"
	DefaultToken        = "sim-token"
	DefaultClientID     = "sim-client"
	DefaultClientSecret = "sim-secret"
	// Scope is the scope that the Digital Interactions API asks for.
	Scope = "cx.digital-interactions"
	// VendorTimeout is how long the vendor waits for the answer to a webhook. The simulator itself waits longer by
	// default, so that a slow machine does not lose events in a test that is about something else.
	VendorTimeout = 5 * time.Second
	// VendorRetryWait is how long the vendor waits before it repeats a delivery to an agent bot.
	VendorRetryWait = 3 * time.Second
	// VendorTokenLifetime is the life of a token in the vendor's own example.
	VendorTokenLifetime = 24304413 * time.Second
)

// Channels that an inbox can have. Customers' messages can be posted by the API only in inboxes of [ChannelAPI].
const (
	ChannelAPI       = "Channel::Api"
	ChannelWebWidget = "Channel::WebWidget"
)

// Envelope is the shape of successful answers.
type Envelope string

// Envelopes.
const (
	EnvelopeNative  Envelope = ""        // each resource as Chatwoot answers: some bare, some under "payload"
	EnvelopeBare    Envelope = "bare"    // the object itself
	EnvelopePayload Envelope = "payload" // {"payload": object}
	EnvelopeData    Envelope = "data"    // {"data": object}
)

// Slash says what happens to a path without its trailing slash.
type Slash string

// Treatments of a missing trailing slash.
const (
	SlashNotFound Slash = ""         // 404
	SlashRedirect Slash = "redirect" // 301 to the path with the slash
	SlashAccept   Slash = "accept"   // as if it were there
)

// BotPaths says which of the documented paths for agent bots exist.
type BotPaths string

// Sets of paths for agent bots.
const (
	BotPathsBoth    BotPaths = ""        // both
	BotPathsCurrent BotPaths = "current" // agents-bot/ and agents-bot/assign/
	BotPathsOlder   BotPaths = "older"   // agent-bot/ and assign-agent-bot/
)

// InboxOptions describes an inbox that a tenant has from the start.
type InboxOptions struct {
	Name    string
	Channel string // ChannelAPI when empty
	// LockToSingle makes the creation of a conversation answer with the contact's last one, without an event.
	LockToSingle bool
	// Greeting, when set, is sent as a template message into every new conversation of a web widget.
	Greeting string
	// WebhookURL, when set on an inbox of [ChannelAPI], gets every event of its conversations, without a subscription.
	WebhookURL string
}

// Options are the settings of a [Sim]. The zero value is a working simulator.
type Options struct {
	TenantDomain string   // DefaultTenant when empty
	MoreTenants  []string // further tenants, each with a state of its own
	Token        string   // the static bearer token; DefaultToken when empty
	ClientID     string   // of the token server; DefaultClientID when empty
	ClientSecret string   // of the token server; DefaultClientSecret when empty
	Scopes       []string // that the token server grants; those of the vendor's three APIs when empty
	// TokenLifetime is the life of a token of the token server. VendorTokenLifetime when zero.
	TokenLifetime time.Duration

	Seed    uint64
	Profile Profile          // V313 when empty
	Now     func() time.Time // time.Now when nil

	Inboxes       []InboxOptions // an API inbox and a web widget when empty
	IDsAsStrings  bool           // ids are JSON strings in answers and events
	CreatedStatus int            // status of a successful creation; 200 when zero, as Chatwoot answers
	Envelope      Envelope
	Slash         Slash
	BotPaths      BotPaths
	// StartOpen makes conversations begin "open" when their inbox has no agent bot. By default they begin "pending":
	// the user of the API counts as the bot that they are with.
	StartOpen bool
	// StrictStatus makes a second deliver-to-agent or finish a 422 that says "already" instead of a success.
	StrictStatus bool
	// InitialMessageType is the direction of a conversation's initial_message: "incoming" when empty.
	InitialMessageType string
	// OutgoingByUser makes the messages of the API come from a user, as a human agent's do, instead of a bot.
	OutgoingByUser bool
	// PassThrough keeps source_id, private and content_attributes of a posted message, as far as the profile does.
	PassThrough bool
	// MessagesPerMinute is the cap of one conversation, beyond which a post is a 422. 200 when zero, none when
	// negative.
	MessagesPerMinute int
	// RequestsPerMinute is the cap of the whole API, beyond which it answers 429. None when zero.
	RequestsPerMinute int
	MaxBody           int64 // bytes of a request; 8 MiB when zero

	// SigningSecret is the secret of every webhook and bot. When empty each gets one of its own, if the profile signs
	// at all; when set, deliveries are signed whatever the profile.
	SigningSecret   string
	SignatureHeader string // X-Chatwoot-Signature when empty
	TimestampHeader string // X-Chatwoot-Timestamp when empty

	DeliveryWorkers int           // deliveries at once; 8 when zero
	WebhookTimeout  time.Duration // for one delivery; a minute when zero, see VendorTimeout
	// WebhookAttempts is how often a delivery to a webhook is tried until it is answered 2xx. 1 when zero, as the
	// vendor does; a negative number means until it succeeds.
	WebhookAttempts int
	RetryWait       time.Duration // between attempts; VendorRetryWait when zero
	// Unordered lets deliveries of one conversation overtake one another, as the vendor's may.
	Unordered bool
	// LateBinding builds the body of a webhook when it is sent, so that it may show later changes, as the vendor's do.
	LateBinding bool
	// BlockPrivate refuses to deliver to loopback and private addresses, as the newest platform does.
	BlockPrivate bool

	// JournalLimit is how many entries and deliveries are kept, the newest. All when zero.
	JournalLimit int
	// NoDeliveryBodies leaves the bodies out of the record of deliveries.
	NoDeliveryBodies bool
	// AllowRemote permits Start to listen beyond loopback.
	AllowRemote bool
}

func (o Options) withDefaults() Options {
	fallback(&o.TenantDomain, DefaultTenant)
	fallback(&o.Token, DefaultToken)
	fallback(&o.ClientID, DefaultClientID)
	fallback(&o.ClientSecret, DefaultClientSecret)
	fallback(&o.TokenLifetime, VendorTokenLifetime)
	fallback(&o.Profile, V313)
	fallback(&o.CreatedStatus, 200)
	fallback(&o.InitialMessageType, incoming)
	fallback(&o.MessagesPerMinute, 200)
	fallback(&o.MaxBody, 8<<20)
	fallback(&o.SignatureHeader, "X-Chatwoot-Signature")
	fallback(&o.TimestampHeader, "X-Chatwoot-Timestamp")
	fallback(&o.DeliveryWorkers, 8)
	fallback(&o.WebhookTimeout, time.Minute)
	fallback(&o.WebhookAttempts, 1)
	fallback(&o.RetryWait, VendorRetryWait)
	if len(o.Scopes) == 0 {
		o.Scopes = []string{Scope, "cx.agent-calls", "cx.queue-calls"}
	}
	if len(o.Inboxes) == 0 {
		o.Inboxes = []InboxOptions{{Name: "Chat", Channel: ChannelAPI}, {Name: "Website", Channel: ChannelWebWidget}}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func fallback[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
