package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// tally is what the API stub saw.
type tally struct {
	Calls    int64
	Done     int64         // answered 200
	Again    int64         // of them, for a command that had been answered 200 before
	Disorder int64         // of them, before an earlier command of the same conversation
	P50, P99 time.Duration // from publishing to the call, of commands since the last reset
	Aged     int64         // of how many
}

// stub is an API that takes its time, and answers one of a hundred commands 503 once.
type stub struct {
	latency time.Duration
	steady  bool // nothing is answered 503

	mu    sync.Mutex
	tally tally
	tried map[[2]int64]bool // true: carried out
	last  map[int64]int64   // by conversation
	ages  []time.Duration
	apart int64 // a conversation of which ages are not told; 0 for none
	fails bool  // all of its calls
}

func serveStub(ctx context.Context) error {
	latency, err := time.ParseDuration(os.Getenv(envLatency))
	if err != nil {
		return err
	}
	s := &stub{latency: latency, steady: os.Getenv("STEADY") != "", tried: map[[2]int64]bool{}, last: map[int64]int64{}}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if ctx, err = announce(ctx, "http://"+listener.Addr().String()+"/"); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages/{$}", s.message)
	mux.HandleFunc("GET /tally", s.tell)
	mux.HandleFunc("POST /reset", s.reset)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: startTime}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody calls any more
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// message carries out one command. Its content begins with its conversation, its number there and when it was published.
func (s *stub) message(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var conversation, number, published int64
	if _, err := fmt.Sscanf(gjson.GetBytes(body, "content").Str, "%d %d %d", &conversation, &number, &published); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	pause(r.Context(), s.latency)
	if !s.count(conversation, number, at.Sub(time.Unix(0, published))) {
		http.Error(w, `{"error":"unavailable"}`, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":%d,"content":%s,"message_type":1,"content_type":"text","private":false,"created_at":1763805600,"conversation_id":%d,`+
		`"inbox_id":5,"sender":{"id":9,"name":"Bot","type":"agent_bot"}}`, conversation*1_000_000+number, gjson.GetBytes(body, "content").Raw, conversation)
}

// count keeps account of a call and says whether it is carried out.
func (s *stub) count(conversation, number int64, age time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Calls++
	command := [2]int64{conversation, number}
	done, known := s.tried[command]
	if s.fails && conversation == s.apart {
		return false
	}
	if !known && conversation != s.apart {
		s.ages = append(s.ages, age)
	}
	if !known && !s.steady && s.apart == 0 && (conversation*31+number)%100 == 99 {
		s.tried[command] = false
		return false
	}
	s.tried[command] = true
	s.tally.Done++
	if done {
		s.tally.Again++
	}
	if number < s.last[conversation] {
		s.tally.Disorder++
	}
	s.last[conversation] = number
	return true
}

func (s *stub) tell(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.tally
	if r.URL.Query().Has("ages") {
		t.P50, t.P99, t.Aged = quantile(s.ages, 0.5), quantile(s.ages, 0.99), int64(len(s.ages))
	}
	s.mu.Unlock()
	if err := json.NewEncoder(w).Encode(t); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *stub) reset(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ages = nil
	if r.URL.Query().Has("apart") {
		s.apart = 1
	}
	s.fails = r.URL.Query().Has("fail")
}

// get asks for an address and returns the status and the body.
func get(ctx context.Context, url string) (int, []byte, error) { return ask(ctx, http.MethodGet, url) }

func ask(ctx context.Context, method, url string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

func askTally(ctx context.Context, api, query string) (t tally, err error) {
	_, body, err := get(ctx, api+"tally"+query)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(body, &t)
}
