package command

import (
	"context"
	"math"
	"sync"
	"time"
)

// What JetStream takes as the answer to a delivery. Only the subject for it is kept, as the client library's messages take much memory.
const (
	answerDone     = "+ACK"
	answerProgress = "+WPI"
	answerTerm     = "+TERM " // and a reason
)

// maxHeldBytes bounds the bodies of the commands that are held, however few they are. One pull may go beyond it.
const maxHeldBytes = 64 << 20

// held are the commands that were delivered to this term and are not acknowledged yet.
type held struct {
	changed chan struct{} // has a token when there may be room again
	since   time.Time     // from when times of jobs count
	enough  int           // jobs; with no more there is room again

	mu      sync.Mutex
	jobs    map[uint64]*job   // by sequence in the stream
	owners  map[string]*job   // by command id: the one copy that is being carried out
	rivals  map[*job][]string // lanes in which other copies of a command wait, by the one that is being carried out
	highest uint64            // sequence in the stream, of all that were taken in
	latest  int64             // when the stream stored that one, in nanoseconds
	bytes   int               // of the bodies of the jobs
}

func newHeld() *held {
	return &held{
		changed: make(chan struct{}, 1), since: time.Now(), enough: math.MaxInt, jobs: make(map[uint64]*job), owners: make(map[string]*job), rivals: make(map[*job][]string),
	}
}

// tell lets the pulling look again.
func (h *held) tell() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// add takes a job in. It reports false for a message that is held already: then only the newer delivery is remembered, for the
// acknowledgement.
func (h *held) add(j *job) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if former := h.jobs[j.seq]; former != nil {
		former.delivery, former.touched = j.delivery, j.touched
		return false
	}
	h.jobs[j.seq] = j
	if j.seq > h.highest {
		h.highest, h.latest = j.seq, j.stored
	}
	h.bytes += j.parcel.size()
	return true
}

// own makes a job the one that carries out its command id; another copy of the command has to wait.
func (h *held) own(j *job) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if owner := h.owners[j.id]; owner != nil && owner != j {
		h.rivals[owner] = append(h.rivals[owner], j.key)
		return false
	}
	h.owners[j.id] = j
	return true
}

// remove lets a job go and returns the lanes in which other copies of its command wait.
func (h *held) remove(j *job) (rivals []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.jobs[j.seq] == j {
		delete(h.jobs, j.seq)
		h.bytes -= j.parcel.size()
	}
	if j.progress != nil && h.owners[j.id] == j {
		delete(h.owners, j.id)
	}
	if len(h.jobs) <= h.enough {
		h.tell()
	}
	rivals = h.rivals[j]
	delete(h.rivals, j)
	return rivals
}

// delivery returns the subject to acknowledge the latest delivery of a job's message on.
func (h *held) delivery(j *job) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return j.delivery
}

func (h *held) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.jobs)
}

// full reports whether the bodies take so much memory that no more should be taken in.
func (h *held) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes >= maxHeldBytes
}

// floor is the sequence up to which everything that was taken in is done with, and highest that of the last command that was taken in.
func (h *held) floor() (floor, highest uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	floor = h.highest
	for seq := range h.jobs {
		floor = min(floor, seq-1)
	}
	return floor, h.highest
}

// last returns the last command of the stream that was taken in, and when the stream stored it.
func (h *held) last() (seq uint64, stored time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.highest, time.Unix(0, h.latest)
}

// due returns the deliveries of messages that were not touched for a while, and touches them.
func (h *held) due(now time.Time, after time.Duration) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, j := range h.jobs {
		if now.Sub(h.since)-j.touched >= after {
			j.touched = now.Sub(h.since)
			all = append(all, j.delivery)
		}
	}
	return all
}

// keepAlive tells the server that held commands are being worked on, so that it does not deliver them again, until ctx ends.
func (s *shift) keepAlive(ctx context.Context) {
	tick := time.NewTicker(ackWait / 12)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.touch(now)
			s.sightings.reading.rest(ctx, now)
			s.former.reading.rest(ctx, now)
			s.met.rest(now)
		}
	}
}

func (s *shift) touch(now time.Time) {
	failed, last := 0, error(nil)
	for _, delivery := range s.held.due(now, ackWait/3) {
		if err := s.conn.Publish(delivery, []byte(answerProgress)); err != nil {
			failed, last = failed+1, err
		}
	}
	if failed > 0 { // the messages come again and are recognised
		s.log.Debug("commands could not be kept alive", "commands", failed, "error", last)
	}
}
