package webhook

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// networks knows from where webhooks may come.
type networks struct {
	allowed []netip.Prefix // empty: from everywhere
	proxies []netip.Prefix
	header  string
}

func newNetworks(cfg Config) (*networks, error) {
	allowed, err := parseNetworks(cfg.AllowNetworks)
	if err != nil {
		return nil, err
	}
	proxies, err := parseNetworks(cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	return &networks{allowed: allowed, proxies: proxies, header: http.CanonicalHeaderKey(cfg.ForwardedHeader)}, nil
}

func parseNetworks(texts []string) ([]netip.Prefix, error) {
	all := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", text, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// parseNetwork reads a network, or an address as the network of nothing else.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// allow reports whether a request may come from where it comes from.
func (n *networks) allow(req *http.Request) bool {
	if len(n.allowed) == 0 {
		return true
	}
	source, ok := n.source(req)
	return ok && contains(n.allowed, source)
}

// source returns the address that the request was sent from: that of the connection or, if a trusted proxy made it, the last one in the
// proxy's header that is no trusted proxy itself. What stands before it could be made up by the sender.
func (n *networks) source(req *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	source := peer.Addr().Unmap().WithZone("")
	if !contains(n.proxies, source) {
		return source, true
	}
	hops := strings.Split(strings.Join(req.Header[n.header], ","), ",")
	for _, hop := range slices.Backward(hops) {
		if source, err = forwarded(hop); err != nil {
			return netip.Addr{}, false
		}
		if !contains(n.proxies, source) {
			return source, true
		}
	}
	return source, true
}

// forwarded reads one hop: an address, with or without a port.
func forwarded(hop string) (netip.Addr, error) {
	hop = strings.TrimSpace(hop)
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), nil
	}
	addr, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return addr.Unmap().WithZone(""), err
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
