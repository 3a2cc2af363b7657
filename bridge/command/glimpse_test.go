package command

import (
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestAGlimpseHasAllOfASighting(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]sighting{
		"nothing": {},
		"message": {
			message: subjects.NumberID(7), messageType: subjects.Outgoing, fingerprint: ledger.Fingerprint("Hello"), private: true, origin: subjects.OriginAgent,
			human: "a human agent wrote",
		},
		"conversation": {creation: &creation{conversation: subjects.StringID("9"), inbox: "2", sourceID: "x", contactID: subjects.NumberID(3)}},
	} {
		e.at = time.Unix(1_800_000_000, 123_456_789)
		if g := e.glimpse(); g.sighting() != e {
			t.Errorf("%s: %+v", name, g.sighting())
		}
	}
}
