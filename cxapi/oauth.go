package cxapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// tokenOp names the token request in errors.
const tokenOp = "POST oauth/token"

// ClientCredentialsConfig says how to get tokens.
type ClientCredentialsConfig struct {
	// TokenURL is the token endpoint; empty is [DefaultTokenURL].
	TokenURL string
	// ClientID and ClientSecret are the credentials, sent with HTTP Basic authentication.
	ClientID, ClientSecret string
	// Scopes is what the token is asked for; none is [Scope].
	Scopes []string
	// CacheFile keeps the token across restarts, readable by its owner only; empty keeps it in memory.
	CacheFile string
	// HTTPClient sends the requests; nil is a client of its own. Redirects are never followed.
	HTTPClient *http.Client
	// Timeout bounds one token request. Default 10 s.
	Timeout time.Duration
	// EarlyRefresh is how long before its end a token is renewed, at most a fifth of its life. Default 5 min.
	EarlyRefresh time.Duration
	// OnSaveError is told when the token could not be kept in CacheFile; the token is used all the same. It may be nil.
	OnSaveError func(error)
}

// ClientCredentials is a [TokenSource] by the OAuth 2.0 client credentials grant.
//
// POST oauth/token, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376504348
//
// One request is under way at a time, whoever waits for it. A token is renewed some time before it ends, while it goes on
// being used. The vendor's tokens live for months, and asking again returns the same token with the rest of its life.
type ClientCredentials struct {
	cfg    ClientCredentialsConfig
	oauth  clientcredentials.Config
	http   *http.Client
	cached tokenCache

	mu       sync.Mutex
	current  bearer
	request  *tokenRequest // under way; nil if none is
	notUntil time.Time     // no early renewal before
	refused  string        // the token that the API refused last
	kept     time.Time     // until when a refused token that was given out again is not given up again
	asked    Requests
}

// Requests counts the requests for a token since the source was made.
type Requests struct{ Succeeded, Failed uint64 }

// bearer is a token with its life. Its fields are exported for the cache file.
type bearer struct {
	Token    string    `json:"access_token"`
	Obtained time.Time `json:"obtained_at"`
	Expires  time.Time `json:"expires_at,omitzero"` // zero: the server did not say
}

type tokenRequest struct {
	done  chan struct{}
	token string
	err   error
}

// insistence is for how long a token that the server gives out again is used although the API refused it.
const insistence = 30 * time.Second

// NewClientCredentials returns a source of tokens. It makes no request, but reads the cache file if there is one.
// Missing credentials and a bad address are errors; an unusable cache file is not, a new token replaces it.
func NewClientCredentials(cfg ClientCredentialsConfig) (*ClientCredentials, error) {
	if cfg.TokenURL == "" {
		cfg.TokenURL = DefaultTokenURL
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{Scope}
	}
	at, err := url.Parse(cfg.TokenURL)
	switch {
	case err != nil || (at.Scheme != "http" && at.Scheme != "https") || at.Host == "" || at.User != nil:
		return nil, errors.New("client credentials: the token address must begin with http:// or https://, name a host, and hold no credentials")
	case cfg.ClientID == "" || cfg.ClientSecret == "":
		return nil, errors.New("client credentials: client id and client secret must not be empty")
	}
	cfg.Timeout = orDefault(cfg.Timeout, 10*time.Second)
	cfg.EarlyRefresh = orDefault(cfg.EarlyRefresh, 5*time.Minute)
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Transport: NewTransport(TransportConfig{MaxInFlight: 2})}
	}
	s := &ClientCredentials{
		cfg: cfg,
		oauth: clientcredentials.Config{
			ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, TokenURL: cfg.TokenURL, Scopes: cfg.Scopes,
			AuthStyle: oauth2.AuthStyleInHeader,
		},
		http:   withoutRedirects(cfg.HTTPClient),
		cached: tokenCache{path: cfg.CacheFile, owner: cacheOwner(cfg)},
	}
	s.current = s.cached.load()
	return s, nil
}

// Expiry returns when the current token ends; the zero time if there is none or the server did not say.
func (s *ClientCredentials) Expiry() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.Expires
}

// Requests returns how many requests for a token there were.
func (s *ClientCredentials) Requests() Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Token returns a token that is good for a while, asking the server for one if need be. Its error is an [*Error], or
// that of ctx.
func (s *ClientCredentials) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	now := time.Now()
	usable := s.current.usable(now)
	token := s.current.Token
	if usable && !s.due(now) {
		s.mu.Unlock()
		return token, nil
	}
	if s.request == nil {
		s.request = &tokenRequest{done: make(chan struct{})}
		go s.renew(context.WithoutCancel(ctx), s.request)
	}
	request := s.request
	s.mu.Unlock()
	if usable {
		return token, nil
	}
	select {
	case <-request.done:
		return request.token, request.err
	case <-ctx.Done():
		return "", fmt.Errorf("%s: %w", tokenOp, context.Cause(ctx))
	}
}

// Invalidate gives the token up, so that the next call waits for a new one. When the server has just answered with the same
// token again, the token stays: asking once more would not help.
func (s *ClientCredentials) Invalidate(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token != s.current.Token || (token == s.refused && time.Now().Before(s.kept)) {
		return
	}
	s.refused = token
	s.current = bearer{}
}

// CloseIdleConnections closes the connections to the token endpoint that are not in use.
func (s *ClientCredentials) CloseIdleConnections() { s.http.CloseIdleConnections() }

// usable reports whether the token will still be good when a call with it arrives.
func (b bearer) usable(now time.Time) bool {
	return b.Token != "" && (b.Expires.IsZero() || now.Before(b.Expires.Add(-min(10*time.Second, b.life()/10))))
}

func (b bearer) life() time.Duration { return max(b.Expires.Sub(b.Obtained), 0) }

// early is how long before its end the token is renewed.
func (s *ClientCredentials) early(b bearer) time.Duration { return min(s.cfg.EarlyRefresh, b.life()/5) }

// due reports whether a token that is still good should be renewed.
func (s *ClientCredentials) due(now time.Time) bool {
	b := s.current
	return !b.Expires.IsZero() && !now.Before(b.Expires.Add(-s.early(b))) && !now.Before(s.notUntil)
}

// renew asks for a token, and hands it to all who wait for it.
func (s *ClientCredentials) renew(ctx context.Context, request *tokenRequest) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	got, err := s.fetch(ctx)
	if err == nil {
		if saveErr := s.cached.save(got); saveErr != nil && s.cfg.OnSaveError != nil {
			s.cfg.OnSaveError(fmt.Errorf("keep the token: %w", saveErr))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err != nil {
		s.asked.Failed++
	} else {
		s.asked.Succeeded++
		if got.Token == s.refused {
			s.kept = now.Add(insistence)
		}
		s.current = got
	}
	s.notUntil = now.Add(max(time.Second, min(30*time.Second, s.early(s.current)/4)))
	request.token, request.err = got.Token, err
	s.request = nil
	close(request.done)
}

// fetch makes one token request.
func (s *ClientCredentials) fetch(ctx context.Context) (bearer, error) {
	began := time.Now()
	token, err := s.oauth.Token(context.WithValue(ctx, oauth2.HTTPClient, s.http))
	if err != nil {
		return bearer{}, s.failed(err)
	}
	if err := checkToken(token.AccessToken); err != nil {
		return bearer{}, &Error{Op: tokenOp, Kind: KindUnauthorized, Outcome: OutcomeLater, Err: fmt.Errorf("the access token %w", err)}
	}
	return bearer{Token: token.AccessToken, Obtained: began, Expires: token.Expiry}, nil
}

// failed judges a token request that failed. Asking for a token may be repeated freely. What the library says is not
// shown, since it holds the whole answer.
func (s *ClientCredentials) failed(err error) *Error {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) && answered.Response != nil && !isSuccess(answered.Response.StatusCode) {
		v := statusVerdict(answered.Response.StatusCode, true)
		if v.outcome == OutcomeNever {
			v.kind = KindUnauthorized
		}
		e := &Error{Op: tokenOp, Status: answered.Response.StatusCode, Kind: v.kind, Outcome: v.outcome}
		e.RetryAfter = retryAfter(answered.Response.Header, time.Now())
		_, e.Body = excerpt(answered.Body, nil, s.cfg.ClientSecret)
		e.Code = cleanText(answered.ErrorCode, nil, s.cfg.ClientSecret)
		return e
	}
	e := &Error{Op: tokenOp, Kind: KindUnavailable, Outcome: OutcomeLater}
	var at *url.Error
	switch {
	case answered != nil, !errors.As(err, &at):
		e.Err = errors.New("the answer holds no access token")
	default:
		e.Kind = causeKind(err)
		e.Err = &cleanError{text: cleanText(at.Err.Error(), nil, s.cfg.ClientSecret), err: at.Err}
	}
	return e
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }
