package subjects

import "time"

// Stream describes a JetStream stream as the bridge needs it.
type Stream struct {
	Name                 string
	Description          string
	Subjects             []string
	MaxAge               time.Duration // 0 = no limit
	DuplicateWindow      time.Duration
	Replicas             int
	MaxMsgsPerSubject    int64 // 0 = no limit
	DiscardNew           bool  // refuse new messages when a limit is reached, instead of dropping old ones
	DiscardNewPerSubject bool
	AllowDirect          bool
	AllowMsgTTL          bool
	AllowMsgSchedules    bool // needs nats-server 2.12
	PlacementTags        []string
	Internal             bool // the bridge's own bookkeeping, no part of the contract
}

// StreamSettings are the settings of streams that a configuration decides.
type StreamSettings struct {
	Replicas        int
	EventsMaxAge    time.Duration
	ResultsMaxAge   time.Duration
	DeadMaxAge      time.Duration
	LedgerTTL       time.Duration // how long a command id is remembered
	DuplicateWindow time.Duration
	Keyed           bool
	PlacementTags   []string
}

// Streams returns all streams: events, commands, results, dead letters, ledger.
//
// The commands stream has no limits, so that no command is dropped that waits; the bridge deletes what it has dealt with, when the ledger has forgotten it.
// It cannot refuse new messages: nats-server does not combine that with message schedules.
func (n Names) Streams(s StreamSettings) []Stream {
	all := []Stream{
		{Name: n.EventsStream(), Description: "Webhook events of Sangoma CX", Subjects: n.EventSubjects(s.Keyed), MaxAge: s.EventsMaxAge},
		{
			Name: n.CommandsStream(), Description: "Commands to Sangoma CX", Subjects: []string{n.prefix + ".cmd.*.>", n.prefix + ".schedule.*.>"},
			AllowMsgSchedules: true, AllowMsgTTL: true,
		},
		{Name: n.ResultsStream(), Description: "One final result for each command", Subjects: []string{n.prefix + ".result.*.>"}, MaxAge: s.ResultsMaxAge},
		{Name: n.DeadStream(), Description: "What could not be done or understood", Subjects: []string{n.prefix + ".dead.*.>"}, MaxAge: s.DeadMaxAge},
		{
			Name: n.LedgerStream(), Description: "Which commands were begun and how they ended (internal)", Subjects: []string{n.Ledger(">")},
			MaxAge: s.LedgerTTL, MaxMsgsPerSubject: 1, DiscardNew: true, DiscardNewPerSubject: true, AllowMsgTTL: true, Internal: true,
		},
	}
	for i := range all {
		all[i].Replicas, all[i].PlacementTags, all[i].AllowDirect = s.Replicas, s.PlacementTags, true
		all[i].DuplicateWindow = s.DuplicateWindow
		if all[i].MaxAge > 0 {
			all[i].DuplicateWindow = min(s.DuplicateWindow, all[i].MaxAge)
		}
	}
	return all
}
