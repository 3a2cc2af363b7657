package broker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/cxbridge/cxbridge/bridge/broker"
)

// operatorConfig makes an operator, an account with JetStream and a user, and returns a configuration of a server that trusts them,
// and the file with the credentials of the user.
func operatorConfig(t *testing.T) (config, credentials string) {
	t.Helper()
	operator, account, system, user := pair(t, nkeys.CreateOperator), pair(t, nkeys.CreateAccount), pair(t, nkeys.CreateAccount), pair(t, nkeys.CreateUser)
	oc := jwt.NewOperatorClaims(public(t, operator))
	oc.SystemAccount = public(t, system)
	ac := jwt.NewAccountClaims(public(t, account))
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	sc := jwt.NewAccountClaims(public(t, system))
	uc := jwt.NewUserClaims(public(t, user))
	text := fmt.Sprintf("listen: \"127.0.0.1:-1\"\noperator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s }\n",
		encode(t, oc, operator), public(t, system), public(t, account), encode(t, ac, operator), public(t, system), encode(t, sc, operator))
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(encode(t, uc, account), seed)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "user.creds")
	if err := os.WriteFile(path, creds, 0o600); err != nil {
		t.Fatal(err)
	}
	return configFile(t, text), path
}

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	p, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func public(t *testing.T, p nkeys.KeyPair) string {
	t.Helper()
	key, err := p.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(t *testing.T, claims jwt.Claims, signer nkeys.KeyPair) string {
	t.Helper()
	token, err := claims.Encode(signer)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestLoginByCredentialsFile(t *testing.T) {
	config, credentials := operatorConfig(t)
	c := inProcess(t)
	c.Embedded.ConfigFile, c.CredentialsFile = config, credentials
	hub := open(t, c)
	ready(t, hub)
	// The same server, as an external one.
	e := external(hub.ClientURL())
	e.CredentialsFile = credentials
	ready(t, open(t, e))
	e.CredentialsFile = ""
	stranger := open(t, e, func(o *broker.Options) { o.Name = "stranger" })
	if stranger.Conn().IsConnected() {
		t.Error("connected without credentials")
	}
}
