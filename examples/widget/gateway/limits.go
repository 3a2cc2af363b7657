package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// maxKeys is how many visitors and addresses the gate remembers; beyond it begins anew.
const maxKeys = 50_000

// gate holds how often and how many.
type gate struct {
	cfg Config

	mu       sync.Mutex
	messages map[string]*rate.Limiter // by visitor
	starts   map[string]*rate.Limiter // by address
	streams  map[string]int           // by visitor
	open     int
}

// maxStreamsEach is how many tabs of one visitor are served at once.
const maxStreamsEach = 6

func newGate(cfg Config) *gate {
	return &gate{cfg: cfg, messages: map[string]*rate.Limiter{}, starts: map[string]*rate.Limiter{}, streams: map[string]int{}}
}

func (g *gate) mayWrite(visitor string) bool {
	return g.allow(g.messages, visitor, g.cfg.Messages, g.cfg.MessagesAtOnce)
}

func (g *gate) mayStart(r *http.Request) bool {
	return g.allow(g.starts, addressOf(r), g.cfg.Starts, g.cfg.StartsAtOnce)
}

func (g *gate) allow(all map[string]*rate.Limiter, key string, each rate.Limit, burst int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := all[key]
	if l == nil {
		if len(all) >= maxKeys {
			clear(all)
		}
		l = rate.NewLimiter(each, burst)
		all[key] = l
	}
	return l.Allow()
}

// enter counts a stream in; leave counts it out again.
func (g *gate) enter(visitor string) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open >= g.cfg.MaxStreams || g.streams[visitor] >= maxStreamsEach {
		return nil, false
	}
	g.open++
	g.streams[visitor]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open--
		if g.streams[visitor]--; g.streams[visitor] == 0 {
			delete(g.streams, visitor)
		}
	}, true
}

// addressOf is whom a request comes from: an IPv4 address, or the network that one subscriber has of IPv6.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().Is4() {
		return host
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}
