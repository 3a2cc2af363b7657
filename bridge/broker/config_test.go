package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/broker"
)

func TestDefaultConfigHasNoProblems(t *testing.T) {
	broker.DefaultConfig().Check(func(key, rule string, value any) { t.Errorf("%s: %s: %v", key, rule, value) })
}

func TestCheckAllowsAServerBeyondLoopbackThatDemandsALogin(t *testing.T) {
	c := broker.DefaultConfig()
	c.Embedded.Listen, c.Token = "0.0.0.0:4222", "topsecret"
	c.Check(func(key, rule string, value any) { t.Errorf("%s: %s: %v", key, rule, value) })
}

func TestCheckFindsEachProblem(t *testing.T) {
	cases := map[string]func(*broker.Config){
		"mode":                                  func(c *broker.Config) { c.Mode = "elsewhere" },
		"url":                                   func(c *broker.Config) { c.Mode, c.URL = broker.External, "nats://a:4222, http://user:topsecret@b" },
		"user":                                  func(c *broker.Config) { c.Password = "topsecret" },
		"password":                              func(c *broker.Config) { c.User = "bridge" },
		"credentials_file":                      func(c *broker.Config) { c.CredentialsFile = "x.creds" },
		"tls.cert_file":                         func(c *broker.Config) { c.TLS.KeyFile = "key.pem" },
		"inbox_prefix":                          func(c *broker.Config) { c.InboxPrefix = "a.>" },
		"jetstream_domain":                      func(c *broker.Config) { c.JetStreamDomain = "a.b" },
		"embedded.listen":                       func(c *broker.Config) { c.Embedded.Listen = "4222" },
		"embedded.websocket_listen":             func(c *broker.Config) { c.Embedded.WebsocketListen = "host:port" },
		"embedded.listen: must be on":           func(c *broker.Config) { c.Embedded.Listen = "0.0.0.0:4222" },
		"embedded.listen: must be host":         func(c *broker.Config) { c.Embedded.Listen = "127.0.0.1:4222x" },
		"embedded.websocket_listen: must be on": func(c *broker.Config) { c.Embedded.WebsocketListen = ":8222" },
		"embedded.store_dir":                    func(c *broker.Config) { c.Embedded.StoreDir = "" },
		"embedded.max_store_bytes":              func(c *broker.Config) { c.Embedded.MaxStoreBytes = -1 },
		"embedded.sync":                         func(c *broker.Config) { c.Embedded.Sync = "sometimes" },
		"user: only one":                        func(c *broker.Config) { c.User, c.Password, c.Token = "bridge", "topsecret", "topsecret" },
		"url: must be URLs":                     func(c *broker.Config) { c.Mode, c.URL = broker.External, "" },
		"url: must be URLs such":                func(c *broker.Config) { c.Mode, c.URL = broker.External, "user:topsecret@host" },
		"embedded.sync: must be \"a":            func(c *broker.Config) { c.Embedded.Sync = "0s" },
	}
	for want, change := range cases {
		c := broker.DefaultConfig()
		change(&c)
		var found []string
		c.Check(func(key, rule string, value any) { found = append(found, fmt.Sprintf("%s: %s: %v", key, rule, value)) })
		if len(found) != 1 || !strings.HasPrefix(found[0], want) {
			t.Errorf("%s: got %q", want, found)
		}
		if strings.Contains(strings.Join(found, ""), "topsecret") {
			t.Errorf("the secret is shown: %q", found)
		}
	}
}
