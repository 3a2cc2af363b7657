package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// kind is one way to make trouble.
type kind string

const (
	killBridge    kind = "kill-bridge"    // SIGKILL, started again after a while
	killBoth      kind = "kill-both"      // both bridges at once
	stopBridge    kind = "stop-bridge"    // SIGTERM, as for an upgrade
	freezeBridge  kind = "freeze-bridge"  // SIGSTOP for longer than the lease, then SIGCONT
	freezeClaims  kind = "freeze-claims"  // the same at the moment when many claims are answered
	freezeBacklog kind = "freeze-backlog" // the same when many commands wait for a call, and calls end slowly
	killServer    kind = "kill-server"    // SIGKILL of a nats-server
	killLeader    kind = "kill-leader"    // SIGKILL of the one that leads a stream
	killQuorum    kind = "kill-quorum"    // two of the three at once
	stopServer    kind = "stop-server"
	freezeServer  kind = "freeze-server"
	disturbBus    kind = "bus" // the way of a bridge to the servers: cut, silent, deaf or slow
	disturbAPI    kind = "api" // the way of a bridge to the API
	fullServer    kind = "full-server"
	fullSpool     kind = "full-spool" // with the bus cut off, so that events go to the spool
	apiFault      kind = "api-fault"
	deliverFault  kind = "delivery-fault"
)

func kinds() []kind {
	return []kind{killBridge, killBoth, stopBridge, freezeBridge, freezeClaims, freezeBacklog, killServer, killLeader, killQuorum, stopServer, freezeServer,
		disturbBus, disturbAPI, fullServer, fullSpool, apiFault, deliverFault}
}

// frequent are those that there is more than one form of, so that each turn of the plan has them more often.
func frequent() []kind {
	return []kind{killBridge, freezeBacklog, disturbBus, disturbAPI, apiFault, apiFault, apiFault, deliverFault, deliverFault}
}

// active as the target means the bridge that carries out commands at that moment.
const active = -1

// injection is one piece of trouble of the plan.
type injection struct {
	At      time.Duration
	Kind    kind
	Target  int           // a bridge or a server, counted from 0; or active
	For     time.Duration // until it is over, or until what was ended is started again
	Way     way
	Stream  string // of which the leader is meant
	Breaths int    // of a process that is frozen
	Fault   cxsim.Fault
}

func (i injection) String() string {
	line := fmt.Sprintf("%7.2fs %-14s", i.At.Seconds(), i.Kind)
	switch i.Kind {
	case apiFault, deliverFault:
		line += " " + describe(i.Fault)
	case killLeader:
		line += " of " + i.Stream
	case killBoth:
	case killServer, killQuorum, stopServer, freezeServer, fullServer:
		line += fmt.Sprintf(" nats-%d", i.Target+1)
	default:
		line += " " + bridgeName(i.Target)
	}
	if i.Kind == disturbBus || i.Kind == disturbAPI {
		line += " " + i.Way.String()
	}
	return fmt.Sprintf("%s for %.2fs", line, i.For.Seconds())
}

func bridgeName(target int) string {
	if target == active {
		return "the active bridge"
	}
	return fmt.Sprintf("bridge-%d", target+1)
}

func describe(f cxsim.Fault) string {
	parts := []string{string(f.Effect)}
	if f.Status != 0 {
		parts = append(parts, fmt.Sprint(f.Status))
	}
	if f.Op != "" {
		parts = append(parts, "on "+string(f.Op))
	}
	return fmt.Sprintf("%s, %.0f %%", strings.Join(parts, " "), 100*f.Probability)
}

// newPlan makes a plan from a seed: the same seed and duration give the same plan. Each turn has every kind at least once, in another order. If
// there are kinds to choose from, the plan has these, one after the other.
func newPlan(seed uint64, length, lease time.Duration, only ...kind) []injection {
	r := rand.New(rand.NewPCG(seed, 5))
	var plan []injection
	var bag []kind
	for now := 2 * time.Second; now < length; now += between(r, 300*time.Millisecond, 3*time.Second) {
		if len(bag) == 0 {
			if bag = slices.Clone(only); len(bag) == 0 {
				bag = slices.Concat(kinds(), frequent())
			}
			r.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		i := injection{At: now.Round(time.Millisecond), Kind: bag[0]}
		bag = bag[1:]
		i.fill(r, lease)
		plan = append(plan, i)
		if len(only) > 0 {
			now += i.For
		}
	}
	return plan
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)))).Round(time.Millisecond)
}

func pickFrom[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// fill decides on all that the kind leaves open.
func (i *injection) fill(r *rand.Rand, lease time.Duration) {
	i.Target, i.For = r.IntN(servers), between(r, 500*time.Millisecond, 5*time.Second)
	bridge := pickFrom(r, 0, 1, active, active)
	switch i.Kind {
	case killBridge, stopBridge:
		i.Target, i.For = bridge, between(r, 0, 2*time.Second)
	case killBoth:
		i.For = between(r, 0, 2*time.Second)
	case freezeBridge:
		i.Target, i.For = bridge, lease+between(r, 500*time.Millisecond, 4*time.Second)
	case freezeClaims:
		i.Target, i.Breaths = active, 1+r.IntN(4)
		i.For = lease + echoWait + between(r, 2500*time.Millisecond, 4*time.Second) // until its commands have their results
	case freezeBacklog:
		i.Target, i.For = active, lease+between(r, time.Second, 2*time.Second) // until its calls have run out of time
	case killLeader:
		i.Stream = pickFrom(r, "CX_COMMANDS", "CX_LEDGER", "CX_EVENTS", "CX_RESULTS", "KV_CX_BRIDGE")
	case disturbBus, disturbAPI:
		i.Target, i.Way = bridge, pickFrom(r, shut, silent, deaf, slow)
	case fullSpool:
		i.Target, i.For = r.IntN(bridges), between(r, 3*time.Second, 8*time.Second)
	case fullServer:
		i.Target = 0
	case apiFault:
		i.Fault = anyAPIFault(r)
	case deliverFault:
		i.Fault = anyDeliveryFault(r)
	}
}

// anyAPIFault never lies: a status that means "no" is never answered to a call that was carried out.
func anyAPIFault(r *rand.Rand) cxsim.Fault {
	f := cxsim.Fault{
		Probability: pickFrom(r, 0.05, 0.2, 0.5, 1),
		Effect: pickFrom(r, cxsim.EffectStatus, cxsim.EffectStatus, cxsim.EffectStatus, cxsim.EffectUnauthorized, cxsim.EffectCloseBefore, cxsim.EffectResetBefore,
			cxsim.EffectHangBefore, cxsim.EffectLost, cxsim.EffectClose, cxsim.EffectReset, cxsim.EffectHang, cxsim.EffectCut, cxsim.EffectWebhookFirst,
			cxsim.EffectDelay, cxsim.EffectMalformed, cxsim.EffectEmpty, cxsim.EffectOversized),
	}
	switch f.Effect {
	case cxsim.EffectStatus:
		f.Status = pickFrom(r, 503, 429, 408, 425, 500, 502, 504, 400, 403, 404, 409, 422)
		if f.Status == 429 {
			f.RetryAfter = "1"
		}
	case cxsim.EffectLost:
		f.Status = pickFrom(r, 500, 502, 504)
	case cxsim.EffectDelay:
		f.Delay = between(r, 10*time.Millisecond, time.Second)
	case cxsim.EffectOversized:
		f.Size = 1 << 20
	}
	if f.Effect == cxsim.EffectStatus && f.Status < 429 || f.Effect == cxsim.EffectUnauthorized {
		f.Probability = min(f.Probability, 0.2) // these end commands, of which something should be left
	}
	return f
}

func anyDeliveryFault(r *rand.Rand) cxsim.Fault {
	f := cxsim.Fault{
		Op: cxsim.OpDelivery, Probability: pickFrom(r, 0.1, 0.3),
		Effect: pickFrom(r, cxsim.EffectDelay, cxsim.EffectMalformed, cxsim.EffectEmpty, cxsim.EffectOversized, cxsim.EffectDrop, cxsim.EffectDuplicate,
			cxsim.EffectDuplicateNewID, cxsim.EffectReorder, cxsim.EffectReorder, cxsim.EffectWrongSignature, cxsim.EffectNoSignature,
			cxsim.EffectStaleSignature, cxsim.EffectUnknownEvent),
	}
	switch f.Effect {
	case cxsim.EffectDelay, cxsim.EffectReorder:
		f.Delay = between(r, 10*time.Millisecond, time.Second)
	case cxsim.EffectDuplicate, cxsim.EffectDuplicateNewID:
		f.Copies, f.Probability = 1+r.IntN(3), 0.5
	case cxsim.EffectOversized:
		f.Size, f.Probability = 5<<20, 0.05
	}
	return f
}
