package cxsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Root is the path below which the API lives.
const Root = "/cx/api/v1/digital-interactions/"

// Sim is the simulated platform. Make one with [New] and end it with [Sim.Close].
type Sim struct {
	*Tenant // the default one

	opt     Options
	tenants map[string]*Tenant
	tokens  *tokens
	faults  faults
	journal record[Entry]
	sent    record[Delivery]
	waiting waiters
	out     *dispatcher
	client  *http.Client
	rate    minuteRate

	contactIDs, linkIDs, messageIDs, inboxIDs, webhookIDs, botIDs, userIDs atomic.Int64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu       sync.Mutex
	closed   bool
	url      string
	server   *http.Server
	serving  sync.WaitGroup // listeners
	conns    sync.WaitGroup // connections of the listeners
	handlers sync.WaitGroup // requests
}

// New makes a simulator. It listens nowhere yet: see [Sim.Start] and [Sim.Handler].
func New(opt Options) *Sim {
	opt = opt.withDefaults()
	s := &Sim{opt: opt, tenants: map[string]*Tenant{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.faults.seed = opt.Seed
	s.journal.limit, s.sent.limit = opt.JournalLimit, opt.JournalLimit
	s.waiting.each = map[chan struct{}]struct{}{}
	s.rate = minuteRate{limit: opt.RequestsPerMinute}
	s.tokens = newTokens(opt)
	s.out = newDispatcher(s)
	s.messageIDs.Store(9000) // so that ids of one kind are not mistaken for those of another
	s.contactIDs.Store(76)
	s.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: opt.DeliveryWorkers, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for i, domain := range append([]string{opt.TenantDomain}, opt.MoreTenants...) {
		s.tenants[domain] = newTenant(s, domain, int64(i+1))
	}
	s.Tenant = s.tenants[opt.TenantDomain]
	return s
}

// In returns another tenant, nil if there is none of that domain.
func (s *Sim) In(domain string) *Tenant { return s.tenants[domain] }

// Start listens and serves, and returns the base URL of the API, which ends in a slash. The address is host:port; when
// empty, a free port of 127.0.0.1. Only loopback addresses are taken unless [Options.AllowRemote] is set.
func (s *Sim) Start(addr string) (string, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if err := s.mayListen(addr); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.server != nil {
		return "", errors.New("start the simulator: it is closed or has been started already")
	}
	var config net.ListenConfig
	listener, err := config.Listen(s.ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("start the simulator: %w", err)
	}
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: time.Minute, ConnState: s.count}
	s.url = "http://" + listener.Addr().String() + Root
	server := s.server
	s.serving.Go(func() {
		// Serve always ends with an error, the one that says that it was closed.
		_ = server.Serve(listener)
	})
	return s.url, nil
}

func (s *Sim) mayListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("start the simulator: %w", err)
	}
	ip := net.ParseIP(host)
	if s.opt.AllowRemote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("start the simulator: %s is not a loopback address, and remote access is not allowed", addr)
}

// URL is the base URL of the API as Start returned it.
func (s *Sim) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// TokenURL is the address of the token server.
func (s *Sim) TokenURL() string { return strings.TrimSuffix(s.URL(), Root) + tokenPath }

// Addr is host:port of the listener, for a Start at the same address after [Sim.Stop].
func (s *Sim) Addr() string {
	return strings.TrimPrefix(strings.TrimSuffix(s.URL(), Root), "http://")
}

// Stop closes the listener and all connections, so that the API is refused until the next Start. The state stays, and
// events are delivered as before.
func (s *Sim) Stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return
	}
	// What Close reports is of the listener that is being thrown away. The second one is for a connection that was
	// accepted while the first was at work.
	_ = server.Close()
	s.serving.Wait()
	_ = server.Close()
	s.conns.Wait()
}

// count keeps the number of connections, so that Stop can wait for their ends.
func (s *Sim) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	}
}

// Close ends everything: listeners, requests, deliveries. It returns when no goroutine of the simulator is left.
func (s *Sim) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.Stop()
	s.out.close()
	s.handlers.Wait()
	s.client.CloseIdleConnections()
}

// enter counts a request in, unless the simulator is closed.
func (s *Sim) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers.Add(1)
	return true
}

// pause waits, unless the request or the simulator ends before.
func (s *Sim) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}

func (s *Sim) hang(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}

// Tenants lists the domains of all tenants, sorted.
func (s *Sim) Tenants() []string {
	domains := make([]string, 0, len(s.tenants))
	for domain := range s.tenants {
		domains = append(domains, domain)
	}
	slices.Sort(domains)
	return domains
}

// minuteRate counts requests by the minute.
type minuteRate struct {
	limit int
	mu    sync.Mutex
	start time.Time
	count int
}

func (m *minuteRate) over(now time.Time) bool {
	if m.limit <= 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.start) >= time.Minute {
		m.start, m.count = now, 0
	}
	m.count++
	return m.count > m.limit
}
