package bridge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// scrapes serves requests through a survey and tells how long one took.
func scrapes(t *testing.T, read func(context.Context)) func() time.Duration {
	t.Helper()
	s := newSurvey(read)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { _ = s.run(ctx) }() // it ends with ctx
	h := s.before(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	return func() time.Duration {
		began, w := time.Now(), httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusNoContent {
			t.Errorf("answer %d", w.Code)
		}
		return time.Since(began)
	}
}

func TestScrapesFindFiguresThatAreFreshAndReadThemRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		scrape := scrapes(t, func(context.Context) {
			read++
			time.Sleep(100 * time.Millisecond)
		})
		if took := scrape(); took != 100*time.Millisecond || read != 1 {
			t.Errorf("the first scrape took %s, with %d readings", took, read)
		}
		for range 100 {
			if took := scrape(); took != 0 {
				t.Errorf("another scrape took %s", took)
			}
		}
		time.Sleep(surveyFresh)
		scrape()
		if read != 2 {
			t.Errorf("%d readings in all", read)
		}
	})
}

func TestAScrapeDoesNotWaitForABusThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scrape := scrapes(t, func(ctx context.Context) { <-ctx.Done() })
		for range 20 {
			if took := scrape(); took > surveyWait {
				t.Errorf("a scrape took %s", took)
			}
		}
	})
}
