package bridge

import (
	"fmt"
	"net/http"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi"
)

// NewClient returns a client of the API that c describes; userAgent tells the API who calls. It makes no call.
func (c CXConfig) NewClient(userAgent string, maxInFlight int) (*cxapi.Client, error) {
	tokens, err := c.tokens()
	if err != nil {
		return nil, fmt.Errorf("cx: %w", err)
	}
	return c.newClient(tokens, userAgent, maxInFlight, nil)
}

func (c CXConfig) newClient(tokens cxapi.TokenSource, userAgent string, maxInFlight int, traces *telemetry.Traces) (*cxapi.Client, error) {
	transport := &http.Client{Transport: traces.Transport(cxapi.NewTransport(cxapi.TransportConfig{MaxInFlight: maxInFlight}), callName)}
	client, err := cxapi.New(c.BaseURL, c.TenantDomain, cxapi.WithTokenSource(tokens), cxapi.WithTimeout(c.Timeout),
		cxapi.WithUserAgent(userAgent), cxapi.WithHTTPClient(transport))
	if err != nil {
		return nil, fmt.Errorf("cx: %w", err)
	}
	return client, nil
}

func (c CXConfig) tokens() (cxapi.TokenSource, error) {
	switch {
	case c.AccessToken != "":
		return cxapi.StaticToken(c.AccessToken), nil
	case c.AccessTokenFile != "":
		return cxapi.NewFileToken(c.AccessTokenFile), nil
	}
	clientSecret, err := secret(c.OAuth.ClientSecret, c.OAuth.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	return cxapi.NewClientCredentials(cxapi.ClientCredentialsConfig{
		TokenURL: c.OAuth.TokenURL, ClientID: c.OAuth.ClientID, ClientSecret: clientSecret, Scopes: c.OAuth.Scopes,
		CacheFile: c.OAuth.CacheFile, Timeout: c.Timeout,
	})
}
