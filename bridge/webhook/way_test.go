package webhook

import (
	"context"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go"
)

// slowSpool begins to put a message only when it is told to.
type slowSpool struct {
	*memorySpool
	begun, put chan struct{}
}

func (s *slowSpool) Put(ctx context.Context, msg *nats.Msg) error {
	close(s.begun)
	<-s.put
	return s.memorySpool.Put(ctx, msg)
}

// TestTheWayToTheBusStaysShutWhileAnEventIsOnItsWayIntoTheSpool: the spool is empty still, and who went to the bus now would pass it by.
func TestTheWayToTheBusStaysShutWhileAnEventIsOnItsWayIntoTheSpool(t *testing.T) {
	disk := &slowSpool{newMemorySpool(10), make(chan struct{}), make(chan struct{})}
	h := setup(t, withSpool(disk))
	h.bus.set(away)
	answered := make(chan int, 1)
	go func() { answered <- h.post(customerSays(0, 0)).Code }()
	<-disk.begun
	h.bus.set(nil)
	h.store.settle() // as the drain does when it finds nothing
	if !h.store.spooling.Load() {
		t.Error("the next event would go to the bus")
	}
	close(disk.put)
	if code := <-answered; code != http.StatusOK {
		t.Errorf("answer %d", code)
	}
	if !h.store.spooling.Load() {
		t.Error("the next event would go to the bus, past the one in the spool")
	}
}

// TestAnEventLeavesTheSpoolOnlyWhenTheBusHasIt: a bridge that stops, or dies, between the two finds it in the spool.
func TestAnEventLeavesTheSpoolOnlyWhenTheBusHasIt(t *testing.T) {
	disk := newMemorySpool(10)
	h := setup(t, withSpool(disk))
	tried := make(chan struct{}, 100)
	h.bus.set(func(*nats.Msg) error {
		select {
		case tried <- struct{}{}:
		default:
		}
		return errAway
	})
	if code := h.post(incoming).Code; code != http.StatusOK {
		t.Fatalf("answer %d", code)
	}
	<-tried // by the request itself
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Drain(ctx) }()
	for range 2 {
		<-tried
		if n := disk.Stats().Messages; n != 1 {
			t.Errorf("%d messages are in the spool", n)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := disk.Stats().Messages; n != 1 {
		t.Errorf("%d messages are in the spool", n)
	}
}
