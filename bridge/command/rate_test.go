package command

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheRateCanChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0.001, 1)
		defer q.detach()
		for i := range 6 {
			q.add(fmt.Sprint(i))
		}
		synctest.Wait()
		if calls, _, _ := q.seen(); len(calls) != 1 {
			t.Fatalf("%d calls at once, want 1", len(calls))
		}
		q.setRate(1000, 2)
		passes(time.Second)
		if calls, _, _ := q.seen(); len(calls) != 6 {
			t.Errorf("%d calls, want 6", len(calls))
		}
		q.setRate(0, 1)
		for i := range 50 {
			q.add(fmt.Sprint("more", i))
		}
		synctest.Wait()
		if calls, _, _ := q.seen(); len(calls) != 56 || q.view().Limit < 1e9 {
			t.Errorf("%d calls without a limit, want 56", len(calls))
		}
	})
}
