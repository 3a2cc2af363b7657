package bridge

import (
	"fmt"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
)

// StreamSettings are what the configuration says of streams.
func (c Config) StreamSettings() subjects.StreamSettings {
	return subjects.StreamSettings{
		Replicas: c.Streams.Replicas, EventsMaxAge: c.Streams.EventsMaxAge, ResultsMaxAge: c.Streams.ResultsMaxAge,
		DeadMaxAge: c.Streams.DeadMaxAge, LedgerTTL: c.Commands.LedgerTTL, DuplicateWindow: c.Streams.DuplicateWindow, Keyed: c.Subjects.Keyed,
		PlacementTags: c.Streams.PlacementTags,
	}
}

// Contract returns the AsyncAPI document of a bridge with this configuration. It depends on the sections subjects and streams, and on
// commands.ledger_ttl.
func (c Config) Contract() ([]byte, error) {
	names, err := subjects.New(c.Subjects.Prefix)
	if err != nil {
		return nil, fmt.Errorf("subjects.prefix: %w", err)
	}
	return asyncapi.Document(names, c.StreamSettings(), asyncapi.Version)
}

// checkContract reports every value that is wrong among those that [Config.Contract] depends on.
func (c Config) checkContract(report reporter) {
	c.Subjects.check(section("subjects", report))
	c.Streams.check(section("streams", report))
	c.Commands.Check(section("commands", report))
}
