package broker

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

// Export registers the figures of the connection, of the streams and of the embedded server as metrics. Those of the streams are what [Broker.ReadFigures] read
// last.
func (b *Broker) Export(registry prometheus.Registerer) error {
	f := telemetry.NewMetrics(registry)
	b.exportConnection(f)
	b.exportStreams(f)
	if b.host != nil {
		b.exportServer(f)
	}
	if err := f.Err(); err != nil {
		return fmt.Errorf("nats: metrics: %w", err)
	}
	return nil
}

func (b *Broker) exportConnection(f *telemetry.Metrics) {
	var (
		up         = telemetry.NewReading("cxbridge_nats_connected", telemetry.Text{Means: "1 while the bridge is connected to NATS.", Do: "Is the server there, and does it let the bridge in? The log has the refusal."})
		reconnects = telemetry.NewCount("cxbridge_nats_reconnects_total", telemetry.Text{Means: "How often the connection to NATS was made again.", Do: "Often: look at the network and at the log of nats-server."})
		messages   = telemetry.NewCount("cxbridge_nats_messages_total", telemetry.Text{Means: "Messages over the connection to NATS, requests and answers included."}, "direction")
		bytes      = telemetry.NewCount("cxbridge_nats_bytes_total", telemetry.Text{Means: "Bytes of messages over the connection to NATS."}, "direction")
	)
	f.Read(func(emit telemetry.Emit) {
		emit(up, telemetry.Truth(b.conn.IsConnected()))
		s := b.conn.Stats()
		emit(reconnects, float64(s.Reconnects))
		emit(messages, float64(s.InMsgs), "in")
		emit(messages, float64(s.OutMsgs), "out")
		emit(bytes, float64(s.InBytes), "in")
		emit(bytes, float64(s.OutBytes), "out")
	}, up, reconnects, messages, bytes)
}

func (b *Broker) exportStreams(f *telemetry.Metrics) {
	var (
		messages = telemetry.NewReading("cxbridge_stream_messages", telemetry.Text{
			Means: "Messages in a stream; events, commands, results and dead are those of the README, ledger, bridges and contacts are internal.", Do: "dead: cxbridge dead list, then replay or drop.",
		}, "stream")
		bytes     = telemetry.NewReading("cxbridge_stream_bytes", telemetry.Text{Means: "Bytes of a stream.", Do: "streams.events_max_age and the like bound it."}, "stream")
		consumers = telemetry.NewReading("cxbridge_stream_consumers", telemetry.Text{Means: "Consumers of a stream, those of bots included.", Do: "events without a consumer: no bot listens."}, "stream")
		used      = telemetry.NewReading("cxbridge_jetstream_storage_bytes", telemetry.Text{Means: "Bytes on disk that the streams of the account take.", Do: "Compare with cxbridge_jetstream_storage_limit_bytes."})
		limit     = telemetry.NewReading("cxbridge_jetstream_storage_limit_bytes", telemetry.Text{
			Means: "Bytes on disk that the streams may take; not there without a limit.", Do: "nats.embedded.max_store_bytes, or the limits of the account. When it is reached nothing more is stored.",
		})
		age = telemetry.NewReading("cxbridge_bus_figures_age_seconds", telemetry.Text{Means: "How old the figures of streams, storage and backlog are; after a minute they are not told any more.", Do: "The bus does not answer."})
	)
	f.Read(func(emit telemetry.Emit) {
		now := b.figures.Load()
		if now == nil {
			return
		}
		old := time.Since(now.at)
		emit(age, max(old.Seconds(), 0))
		if old > figuresAge || len(now.streams) == 0 {
			return
		}
		for role, s := range now.streams {
			emit(messages, s.messages, role)
			emit(bytes, s.bytes, role)
			emit(consumers, s.consumers, role)
		}
		emit(used, now.used)
		if now.limit > 0 {
			emit(limit, now.limit)
		}
	}, messages, bytes, consumers, used, limit, age)
}

func (b *Broker) exportServer(f *telemetry.Metrics) {
	var (
		up            = telemetry.NewReading("cxbridge_embedded_nats_up", telemetry.Text{Means: "1 while the embedded nats-server runs.", Do: "The log tells why it failed; it is started again when its directory can be written to."})
		clients       = telemetry.NewReading("cxbridge_embedded_nats_connections", telemetry.Text{Means: "Clients of the embedded nats-server, the bridge included."})
		subscriptions = telemetry.NewReading("cxbridge_embedded_nats_subscriptions", telemetry.Text{Means: "Subscriptions at the embedded nats-server."})
		slow          = telemetry.NewCount("cxbridge_embedded_nats_slow_consumers_total", telemetry.Text{Means: "Clients of the embedded nats-server that were too slow and were cut off.", Do: "Find the client in the log of the server."})
		memory        = telemetry.NewReading("cxbridge_embedded_nats_memory_storage_bytes", telemetry.Text{Means: "Bytes that streams and consumers of the embedded nats-server keep in memory."})
		requests      = telemetry.NewCount("cxbridge_embedded_nats_api_requests_total", telemetry.Text{Means: "Requests to the JetStream API of the embedded nats-server."})
		failures      = telemetry.NewCount("cxbridge_embedded_nats_api_errors_total", telemetry.Text{Means: "Requests to the JetStream API of the embedded nats-server that failed; some do as a matter of course, such as looking for what is not there."})
	)
	f.Read(func(emit telemetry.Emit) {
		emit(up, telemetry.Truth(b.host.nats() != nil))
		now := b.figures.Load()
		if now == nil || now.server == nil || time.Since(now.at) > figuresAge {
			return
		}
		s := now.server
		emit(clients, s.clients)
		emit(subscriptions, s.subscriptions)
		emit(slow, s.slow)
		emit(memory, s.memory)
		emit(requests, s.requests)
		emit(failures, s.failures)
	}, up, clients, subscriptions, slow, memory, requests, failures)
}
