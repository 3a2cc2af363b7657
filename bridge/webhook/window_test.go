package webhook

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patientBus never answers; it notes how long each attempt took.
type patientBus struct{ took []time.Duration }

func (b *patientBus) PublishMsg(ctx context.Context, _ *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	begun := time.Now()
	<-ctx.Done()
	b.took = append(b.took, time.Since(begun))
	return nil, ctx.Err()
}

func TestEachAttemptHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &patientBus{}
		var cfg Config
		h := setup(t, func(c *Config, d *Deps) {
			c.StoreTimeout = 4300 * time.Millisecond
			cfg, d.Publisher = *c, bus
		})
		for range 20 {
			bus.took = nil
			start := time.Now()
			if w := h.post(incoming); w.Code != http.StatusInternalServerError || time.Since(start) != cfg.StoreTimeout {
				t.Fatalf("answer %d after %s", w.Code, time.Since(start))
			}
			for i, took := range bus.took {
				last := i == len(bus.took)-1
				if took > cfg.AttemptTimeout || !last && took < cfg.AttemptTimeout*15/16 {
					t.Errorf("attempt %d of %d took %s", i+1, len(bus.took), took)
				}
			}
			time.Sleep(7 * time.Millisecond)
		}
	})
}

func TestAttemptsThatBeginTogetherEndAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setup(t, nil)
		deadline := time.Now().Add(time.Hour)
		first, cancel := h.store.within(time.Now(), deadline)
		second, cancelSecond := h.store.within(time.Now(), deadline)
		defer cancelSecond()
		cancel()
		if first.Err() != nil || second.Err() != nil {
			t.Error("an attempt that ends takes another one with it")
		}
		time.Sleep(h.cfg.AttemptTimeout / 8)
		third, cancelThird := h.store.within(time.Now(), deadline)
		defer cancelThird()
		time.Sleep(h.cfg.AttemptTimeout * 7 / 8)
		synctest.Wait()
		if second.Err() == nil || third.Err() != nil {
			t.Errorf("after the time of an attempt: %v, of a later one: %v", second.Err(), third.Err())
		}
		time.Sleep(h.cfg.AttemptTimeout)
		synctest.Wait()
	})
}
