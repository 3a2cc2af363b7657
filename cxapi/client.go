package cxapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Where the vendor's API lives.
const (
	// DefaultBaseURL is the address below which all calls of this package live.
	DefaultBaseURL = "https://cpaas.sangoma.com/cx/api/v1/digital-interactions/"
	// DefaultTokenURL is the vendor's OAuth 2.0 token endpoint.
	DefaultTokenURL = "https://auth.sangoma.com/oauth/token"
	// Scope is the OAuth 2.0 scope that the calls of this package need.
	Scope = "cx.digital-interactions"
)

// Client makes calls for one tenant. Make one with [New].
type Client struct {
	base      *url.URL
	tenant    string
	tokens    TokenSource
	http      *http.Client
	timeout   time.Duration
	userAgent string
	maxBody   int64
	tenantGET bool
	trace     trace
}

// trace is the W3C trace context that goes into each call, as headers.
type trace struct{ parent, state string }

// Option changes what [New] makes.
type Option func(*Client)

// WithToken uses a bearer token that never changes.
func WithToken(token string) Option { return WithTokenSource(StaticToken(token)) }

// WithTokenSource asks s for the bearer token of each call.
func WithTokenSource(s TokenSource) Option { return func(c *Client) { c.tokens = s } }

// WithHTTPClient uses another HTTP client, of which the Client makes a copy that does not follow redirects. Give it a
// transport made by [NewTransport], or wrapped around one, to have failures judged most exactly.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithTimeout bounds one call altogether, with the renewal of the token and the repeat after a 401. The default is 10 s.
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// WithUserAgent sets the header User-Agent. The default is "cxbridge".
func WithUserAgent(s string) Option { return func(c *Client) { c.userAgent = s } }

// WithMaxBody bounds how many bytes of an answer are read. The default is 1 MiB.
func WithMaxBody(n int64) Option { return func(c *Client) { c.maxBody = n } }

// WithTenantInQuery adds the tenant to the address of GET calls, too, as "tenant_domain". The vendor documents GET
// calls without any tenant.
func WithTenantInQuery() Option { return func(c *Client) { c.tenantGET = true } }

// New returns a client of the API at baseURL (see [DefaultBaseURL]) for the tenant, such as "acme.cx.sangoma.com". It
// makes no call. An address that is not absolute http or https, or that holds credentials, and a missing tenant or token
// are errors.
func New(baseURL, tenantDomain string, opts ...Option) (*Client, error) {
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	c := &Client{base: base, tenant: tenantDomain, timeout: 10 * time.Second, userAgent: "cxbridge", maxBody: 1 << 20}
	for _, opt := range opts {
		opt(c)
	}
	switch {
	case tenantDomain == "":
		return nil, errors.New("new client: the tenant domain is empty")
	case c.tokens == nil:
		return nil, errors.New("new client: there is no token source")
	case c.timeout <= 0 || c.maxBody <= 0:
		return nil, errors.New("new client: time-out and body size must be above 0")
	}
	c.http = withoutRedirects(c.http)
	return c, nil
}

// withoutRedirects returns a copy of h (by default a client with a transport of its own) that hands redirects back.
func withoutRedirects(h *http.Client) *http.Client {
	if h == nil {
		h = &http.Client{Transport: NewTransport(TransportConfig{})}
	}
	own := *h
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// parseBase checks the base address and gives its path a slash at the end.
func parseBase(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the base address cannot be parsed") // the cause would show it, credentials included
	}
	switch {
	case (base.Scheme != "http" && base.Scheme != "https") || base.Host == "":
		return nil, errors.New("the base address must begin with http:// or https:// and name a host")
	case base.User != nil:
		return nil, errors.New("the base address must not hold credentials")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("the base address must end with its path")
	}
	if !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	return base, nil
}

// Tenant returns the tenant domain that goes into every call.
func (c *Client) Tenant() string { return c.tenant }

// Traced returns a client like c, with the same connections and tokens, whose calls carry the W3C trace context: the headers traceparent and
// tracestate, as they are given. What cannot stand in a header, and an empty value, is left out.
func (c *Client) Traced(traceparent, tracestate string) *Client {
	own := *c
	own.trace = trace{parent: headerValue(traceparent), state: headerValue(tracestate)}
	return &own
}

func headerValue(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return ""
		}
	}
	return s
}

// CloseIdleConnections closes the connections that carry no call at the moment.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }
