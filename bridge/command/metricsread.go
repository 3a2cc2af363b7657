package command

import (
	"time"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

// readStatus exports what the runner holds.
func readStatus(f *telemetry.Metrics, r *Runner) {
	var (
		held   = telemetry.NewReading("cxbridge_commands_held", telemetry.Text{Means: "Commands held in memory.", Do: "At commands.max_pending those behind wait on the bus."})
		paused = telemetry.NewReading("cxbridge_commands_paused", telemetry.Text{Means: "1 while commands are paused.", Do: "cxbridge resume, when the reason is gone."})
		lanes  = telemetry.NewReading("cxbridge_command_lanes", telemetry.Text{
			Means: "Conversations and contacts with commands, by what the first one does: active (worked on), ready (waits for a worker), waiting (for its next attempt, an echo, or the right to call).",
			Do:    "Many ready: raise commands.max_in_flight. Many waiting: look at the API.",
		}, "state")
		oldest = telemetry.NewReading("cxbridge_command_oldest_blocked_seconds", telemetry.Text{
			Means: "For how long the command has been first in its conversation that has been so for the longest; 0 without one.", Do: "cxbridge explain tells what it waits for.",
		})
	)
	f.Read(func(emit telemetry.Emit) {
		s := r.Status()
		emit(held, float64(s.Held))
		emit(paused, telemetry.Truth(s.Paused))
		emit(lanes, float64(s.Running), "active")
		emit(lanes, float64(max(s.Lanes-s.Running-s.Waiting, 0)), "ready")
		emit(lanes, float64(s.Waiting), "waiting")
		age := 0.0
		if !s.OldestSince.IsZero() {
			age = max(time.Since(s.OldestSince).Seconds(), 0)
		}
		emit(oldest, age)
	}, held, paused, lanes, oldest)
}

// readGate exports what limits calls.
func readGate(f *telemetry.Metrics, r *Runner) {
	var (
		waiting = telemetry.NewReading("cxbridge_api_calls_waiting", telemetry.Text{Means: "Commands that wait for the right to make a call.", Do: "Compare the rate with what the vendor allows."})
		flying  = telemetry.NewReading("cxbridge_api_calls_in_flight", telemetry.Text{Means: "Calls that are permitted or under way.", Do: "Compare with commands.max_in_flight."})
		rate    = telemetry.NewReading("cxbridge_api_rate_limit", telemetry.Text{
			Means: "Calls a second that are allowed now; +Inf without a limit.", Do: "Below cxbridge_api_rate_limit_configured the API has refused calls because of their rate.",
		})
		most = telemetry.NewReading("cxbridge_api_rate_limit_configured", telemetry.Text{Means: "Calls a second that the configuration allows; +Inf without a limit."})
		hold = telemetry.NewReading("cxbridge_api_hold_seconds", telemetry.Text{Means: "For how long no call is made because the API asked for it (Retry-After)."})
		open = telemetry.NewReading("cxbridge_api_circuit_state", telemetry.Text{
			Means: "1 for the state of the circuit breaker: closed (calls are made), half-open (one call tries), open (the API is down, no call is made).", Do: "Is the vendor down, or the way there?",
		}, "state")
	)
	f.Read(func(emit telemetry.Emit) {
		v := r.gate.view()
		emit(waiting, float64(v.Queued))
		emit(flying, float64(v.Granted))
		emit(rate, v.Limit)
		emit(most, v.Most)
		emit(hold, max(time.Until(v.Hold).Seconds(), 0))
		for _, state := range []string{"closed", "half-open", "open"} {
			emit(open, telemetry.Truth(v.Breaker == state), state)
		}
	}, waiting, flying, rate, most, hold, open)
}

// readBacklog exports what [Runner.ReadBacklog] read.
func readBacklog(f *telemetry.Metrics, m *metrics) {
	var (
		waiting = telemetry.NewReading("cxbridge_commands_waiting", telemetry.Text{
			Means: "Commands on the bus that the active bridge has not fetched yet, the lag of its consumer; told by the active bridge only.", Do: "If it grows: is the circuit open, a rate limit in force, or commands.max_pending reached?",
		})
		unacknowledged = telemetry.NewReading("cxbridge_commands_unacknowledged", telemetry.Text{Means: "Commands that the active bridge has fetched and not ended; told by the active bridge only."})
	)
	f.Read(func(emit telemetry.Emit) {
		if b := m.backlog.Load(); b != nil && time.Since(b.at) < backlogAge {
			emit(waiting, b.waiting)
			emit(unacknowledged, b.unacknowledged)
		}
	}, waiting, unacknowledged)
}
