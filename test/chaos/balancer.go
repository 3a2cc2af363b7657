package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// balancer stands before the bridges as a company's load balancer does: it offers each webhook to one bridge after the other until one answers.
type balancer struct {
	bridges []*bridge
	client  *http.Client
	server  *http.Server
	url     string
	turn    atomic.Int64

	mu      sync.Mutex
	all     []webhook
	refused int // by both bridges, for the moment
}

// offerTime is how long the balancer waits for one bridge.
const offerTime = 3 * time.Second

func newBalancer(bridges []*bridge) (*balancer, error) {
	var c net.ListenConfig
	l, err := c.Listen(context.Background(), "tcp", loopback+":0")
	if err != nil {
		return nil, err
	}
	b := &balancer{
		bridges: bridges, url: "http://" + l.Addr().String() + "/",
		client: &http.Client{Timeout: offerTime, Transport: &http.Transport{MaxIdleConnsPerHost: 32}},
	}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	go func() { _ = b.server.Serve(l) }() // it always ends with the error that says that it was closed
	return b, nil
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "cut", http.StatusBadRequest)
		return
	}
	first := int(b.turn.Add(1))
	for i := range b.bridges {
		status := b.offer(b.bridges[(first+i)%len(b.bridges)], r.Header, body)
		switch status {
		case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge:
			// To offer it again would change nothing.
			w.WriteHeader(http.StatusOK)
			return
		}
	}
	b.mu.Lock()
	b.refused++
	b.mu.Unlock()
	http.Error(w, "no bridge", http.StatusServiceUnavailable)
}

// offer hands a webhook to one bridge, and writes down what came of it.
func (b *balancer) offer(to *bridge, header http.Header, body []byte) int {
	note := webhook{Body: hash(body), Sent: time.Now(), Bridge: to.name}
	note.Key, note.Conversation = eventKey(body)
	note.Status = b.post(to, header, body)
	note.Answered = time.Now()
	b.mu.Lock()
	b.all = append(b.all, note)
	b.mu.Unlock()
	return note.Status
}

func (b *balancer) post(to *bridge, header http.Header, body []byte) int {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, to.webhookURL(), bytes.NewReader(body))
	if err != nil {
		return 0
	}
	for _, name := range []string{"Content-Type", "X-Chatwoot-Signature", "X-Chatwoot-Timestamp", "X-Chatwoot-Delivery"} {
		if value := header.Get(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := b.client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body) // the status is what counts
	return answer.StatusCode
}

// record returns everything that was offered, and how often both bridges refused.
func (b *balancer) record() ([]webhook, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]webhook(nil), b.all...), b.refused
}

func (b *balancer) close() {
	_ = b.server.Close() // nothing is sent any more
	b.client.CloseIdleConnections()
}
