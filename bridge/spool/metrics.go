package spool

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

// Export registers the figures of the spool as metrics.
func (s *Spool) Export(registry prometheus.Registerer) error {
	var (
		messages = telemetry.NewReading("cxbridge_spool_messages", telemetry.Text{
			Means: "Messages in the spool, which wait for the bus.", Do: "Bring the bus back; the spool empties itself.",
		})
		bytes = telemetry.NewReading("cxbridge_spool_bytes", telemetry.Text{Means: "Bytes that the messages in the spool take.", Do: "Compare with cxbridge_spool_limit_bytes."})
		limit = telemetry.NewReading("cxbridge_spool_limit_bytes", telemetry.Text{
			Means: "Bytes that the spool may take (spool.max_bytes). Beyond it webhooks are answered 429.", Do: "Large enough for the longest time that the bus may be away.",
		})
		oldest = telemetry.NewReading("cxbridge_spool_oldest_seconds", telemetry.Text{
			Means: "Age of the oldest message in the spool; 0 without one.", Do: "If it grows while the bus is there, the log tells why the spool cannot be emptied.",
		})
	)
	f := telemetry.NewMetrics(registry)
	f.Read(func(emit telemetry.Emit) {
		now := s.Stats()
		emit(messages, float64(now.Messages))
		emit(bytes, float64(now.Bytes))
		emit(limit, float64(s.config.MaxBytes))
		age := 0.0
		if !now.Oldest.IsZero() {
			age = max(time.Since(now.Oldest).Seconds(), 0)
		}
		emit(oldest, age)
	}, messages, bytes, limit, oldest)
	if err := f.Err(); err != nil {
		return fmt.Errorf("spool: metrics: %w", err)
	}
	return nil
}
