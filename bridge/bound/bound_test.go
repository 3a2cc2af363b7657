package bound_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxbridge/cxbridge/bridge/bound"
)

func TestEachHasNineTenthsOfTheTimeAndNotMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 10 * time.Second
		b := bound.New(most)
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 100 {
			asked := time.Now()
			ctx := b.Of(parent)
			until, ok := ctx.Deadline()
			if left := until.Sub(asked); !ok || left < most*9/10 || left > most {
				t.Fatalf("%v left, %v", left, ok)
			}
			if ctx.Err() != nil {
				t.Fatal(ctx.Err())
			}
			time.Sleep(most / 33)
		}
		ctx := b.Of(parent)
		time.Sleep(most)
		synctest.Wait()
		if ctx.Err() != context.DeadlineExceeded {
			t.Errorf("after its time: %v", ctx.Err())
		}
	})
}

func TestWhoAsksAtTheSameTimeSharesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound.New(time.Minute)
		one, other := context.WithValue(t.Context(), key{}, 1), context.WithValue(t.Context(), key{}, 2)
		if b.Of(one) != b.Of(one) || b.Of(other) != b.Of(other) || b.Of(one) == b.Of(other) {
			t.Error("not one for each parent")
		}
	})
}

type key struct{}

func TestItEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bound.New(time.Minute)
		var contexts []context.Context
		for range 10 {
			parent, cancel := context.WithCancel(t.Context())
			ctx := b.Of(parent)
			cancel()
			if ctx.Err() != context.Canceled {
				t.Error(ctx.Err())
			}
			contexts = append(contexts, b.Of(t.Context()), b.Of(parent))
		}
		for i, ctx := range contexts {
			if ended := ctx.Err() != nil; ended != (i%2 == 1) {
				t.Errorf("%d: %v", i, ctx.Err())
			}
		}
	})
}

func TestManyAskAtOnce(t *testing.T) {
	b := bound.New(time.Hour)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			parent, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 1000 {
				if b.Of(parent).Err() != nil {
					t.Error("ended")
				}
			}
		})
	}
	all.Wait()
}
