package ledger

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

// Export registers what the ledger has in memory as metrics. How much the ledger itself holds is told by the size of its stream.
func (l *Ledger) Export(registry prometheus.Registerer) error {
	var (
		claims = telemetry.NewReading("cxbridge_ledger_open_claims", telemetry.Text{
			Means: "Calls under way that this bridge knows of, its own and others', by which an echo is recognised before the call was answered.",
		})
		messages = telemetry.NewReading("cxbridge_ledger_known_messages", telemetry.Text{
			Means: "Messages of the last 15 minutes of which this bridge knows which command posted them.", Do: "0 while commands post messages: echoes are not recognised; the log tells why the ledger cannot be read.",
		})
	)
	f := telemetry.NewMetrics(registry)
	f.Read(func(emit telemetry.Emit) {
		open, known := l.recent.sizes()
		emit(claims, float64(open))
		emit(messages, float64(known))
	}, claims, messages)
	if err := f.Err(); err != nil {
		return fmt.Errorf("ledger: metrics: %w", err)
	}
	return nil
}

func (r *recent) sizes() (claims, messages int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.claims.entries), r.messages.len()
}
