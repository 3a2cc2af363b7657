package command

import (
	"strings"
	"time"
)

// What becomes of a command whose outcome stays unknown.
const (
	Park   = "park"   // it ends as unknown, with a dead letter
	Resend = "resend" // it is carried out again
)

// Config holds the settings of carrying out commands.
type Config struct {
	Enabled       bool          `koanf:"enabled"`
	MaxInFlight   int           `koanf:"max_in_flight"` // API calls at once
	MaxPending    int           `koanf:"max_pending"`   // commands held in memory
	RetryInitial  time.Duration `koanf:"retry_initial"` // longest pause before the first repeat
	RetryMax      time.Duration `koanf:"retry_max"`     // longest pause before any repeat
	RetryFor      time.Duration `koanf:"retry_for"`     // time that one command may spend on calls and pauses
	EchoWait      time.Duration `koanf:"echo_wait"`     // time to wait for the echo of a call whose answer was lost
	OnUnknown     string        `koanf:"on_unknown"`    // Park or Resend
	LedgerTTL     time.Duration `koanf:"ledger_ttl"`    // how long a command id is remembered
	LeaseTTL      time.Duration `koanf:"lease_ttl"`     // how long a dead bridge stays the active one
	ReplyPrefixes []string      `koanf:"reply_prefixes"`

	// Of the section [cx].
	CallTimeout   time.Duration `koanf:"-"` // of one API call
	RatePerSecond float64       `koanf:"-"` // API calls a second; 0 = no limit
	RateBurst     int           `koanf:"-"`
}

// DefaultConfig returns the settings of a bridge whose configuration says nothing.
func DefaultConfig() Config {
	return Config{
		Enabled: true, MaxInFlight: 256, MaxPending: 20000,
		RetryInitial: 500 * time.Millisecond, RetryMax: 30 * time.Second, RetryFor: 5 * time.Minute,
		EchoWait: 10 * time.Second, OnUnknown: Park, LedgerTTL: 72 * time.Hour, LeaseTTL: 10 * time.Second,
		ReplyPrefixes: []string{"_INBOX."},
		CallTimeout:   10 * time.Second, RatePerSecond: 10, RateBurst: 20,
	}
}

// Check reports each setting that cannot be: its key within the section, the rule, and the value found.
func (c Config) Check(report func(key, rule string, value any)) {
	check := func(ok bool, key, rule string, value any) {
		if !ok {
			report(key, rule, value)
		}
	}
	check(c.MaxInFlight >= 1 && c.MaxInFlight <= 65536, "max_in_flight", "must be from 1 to 65536", c.MaxInFlight)
	check(c.MaxPending >= 1 && c.MaxPending <= 1_000_000, "max_pending", "must be from 1 to 1000000", c.MaxPending)
	check(c.RetryInitial > 0, "retry_initial", "must be above 0", c.RetryInitial)
	check(c.RetryMax >= c.RetryInitial, "retry_max", "must not be below retry_initial", c.RetryMax)
	check(c.RetryFor >= 0, "retry_for", "must not be negative", c.RetryFor)
	check(c.EchoWait >= 0, "echo_wait", "must not be negative", c.EchoWait)
	check(c.OnUnknown == Park || c.OnUnknown == Resend, "on_unknown", "must be park or resend", c.OnUnknown)
	check(c.LedgerTTL >= time.Minute, "ledger_ttl", "must be at least 1m", c.LedgerTTL)
	check(c.LeaseTTL >= time.Second, "lease_ttl", "must be at least 1s", c.LeaseTTL)
	for _, p := range c.ReplyPrefixes {
		check(p != "" && plainSubject(strings.TrimSuffix(p, ".")), "reply_prefixes", "must be beginnings of subjects without wildcards", p)
	}
}

// workers is how many commands are worked on at once: as many as there may be calls, and some more, so that recording how a call ended takes
// no other call's place. Each has a stack, so that there are not half as many more where there are many.
func (c Config) workers() int { return c.MaxInFlight + min(c.MaxInFlight/2, 128+c.MaxInFlight/8) + 8 }

// need is how long the lease must still be ours when a call begins.
//
// A call may last longer than that. The next holder finds its claim and has patience before it does anything about the conversation that
// does not follow from the call's own echo; by then the call has ended.
func (c Config) need() time.Duration {
	return min(max(c.CallTimeout-c.EchoWait, c.LeaseTTL/4), c.LeaseTTL/2)
}

// patience is how long to wait for the echo of a call: our own, or that of a bridge that may be alive and not know that its term is over.
func (c Config) patience(foreign bool) time.Duration {
	if foreign {
		return max(c.EchoWait, c.late())
	}
	return c.EchoWait
}

// late is how much longer than the lease a call of the former holder may last.
func (c Config) late() time.Duration { return max(0, c.CallTimeout-c.need()) }

// plainSubject reports whether a message can be published on the subject.
func plainSubject(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || token == "*" || token == ">" {
			return false
		}
	}
	for i := range len(subject) {
		if subject[i] <= ' ' || subject[i] == 0x7f {
			return false
		}
	}
	return true
}
