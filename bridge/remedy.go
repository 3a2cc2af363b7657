package bridge

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/cxapi"
)

// busRemedy adds what to do to an error of the bus. Errors about streams say it themselves.
func busRemedy(connected bool, err error) error {
	var missing *broker.PermissionError
	var setting *broker.SettingError
	var overlap *broker.OverlapError
	switch {
	case errors.As(err, &setting), errors.As(err, &overlap):
		return err
	case errors.As(err, &missing):
		return fmt.Errorf("%w; grant it, see deploy/nats/nats-server.conf for all that the bridge needs", err)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("%w; check the login in [nats]: user and password, token, credentials_file or nkey_seed_file", err)
	case !connected:
		return fmt.Errorf("%w; start nats-server, or check nats.url and nats.tls, and that the server can be reached from here", err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("%w; connected, but JetStream is not enabled there: start nats-server with -js, or set nats.jetstream_domain", err)
	}
	return fmt.Errorf("%w; see the log of nats-server, and whether its cluster has a leader (nats server report jetstream)", err)
}

// apiRemedy adds what to do to an error of the API.
func apiRemedy(err error) error {
	var failed *cxapi.Error
	if !errors.As(err, &failed) {
		return fmt.Errorf("%w; check [cx]", err)
	}
	return fmt.Errorf("%w; %s", err, apiAdvice(failed.Kind))
}

func apiAdvice(kind cxapi.Kind) string {
	switch kind {
	case cxapi.KindUnauthorized:
		return "check cx.access_token, or client_id and client_secret in cx.oauth: they must be valid and of the tenant in cx.tenant_domain"
	case cxapi.KindForbidden:
		return "give the token the right to use the Digital Interactions API, see cx.oauth.scopes"
	case cxapi.KindNotFound, cxapi.KindRejected, cxapi.KindMalformed:
		return "check cx.base_url and cx.tenant_domain"
	case cxapi.KindConnection, cxapi.KindTimeout, cxapi.KindCancelled:
		return "check cx.base_url, and that it can be reached from here: name resolution, proxy, firewall"
	case cxapi.KindRateLimited:
		return "try again in a minute, and lower cx.rate_per_second if it goes on"
	}
	return "try again later: the API is not available at the moment"
}
