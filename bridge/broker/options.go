package broker

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// anyPort is how nats-server is told to take any free port.
const anyPort = -1

// serverOptions makes the options of the embedded server. What the configuration file sets goes first.
func serverOptions(c Config, maxPayload int32) (*server.Options, error) {
	o := &server.Options{}
	if c.Embedded.ConfigFile != "" {
		loaded, err := server.ProcessConfigFile(c.Embedded.ConfigFile)
		if err != nil {
			return nil, fmt.Errorf("nats.embedded.config_file: %w", err)
		}
		o = loaded
	} else if err := demandLogin(o, c); err != nil {
		return nil, err
	}
	if err := setListeners(o, c.Embedded); err != nil {
		return nil, err
	}
	if err := setStore(o, c.Embedded); err != nil {
		return nil, err
	}
	if o.ServerName == "" {
		o.ServerName = "cxbridge"
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = maxPayload
	}
	if o.MaxPayload != 0 && o.MaxPayload < maxPayload {
		return nil, fmt.Errorf("nats.embedded.config_file: max_payload is %d, but webhooks of the size that webhook.max_body_bytes allows need %d", o.MaxPayload, maxPayload)
	}
	return o, guardListeners(o)
}

// demandLogin makes clients of a server without a configuration file log in as the bridge itself does.
func demandLogin(o *server.Options, c Config) error {
	switch {
	case c.User != "":
		password, err := secret(c.Password, c.PasswordFile)
		if err != nil {
			return fmt.Errorf("nats.password_file: %w", err)
		}
		o.Username, o.Password = c.User, password
	case c.Token != "" || c.TokenFile != "":
		token, err := secret(c.Token, c.TokenFile)
		if err != nil {
			return fmt.Errorf("nats.token_file: %w", err)
		}
		o.Authorization = token
	case c.NKeySeedFile != "":
		public, err := publicKey(c.NKeySeedFile)
		if err != nil {
			return fmt.Errorf("nats.nkey_seed_file: %w", err)
		}
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
	}
	return nil
}

func publicKey(seedFile string) (string, error) {
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return "", errors.New("holds no nkey seed")
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

func setListeners(o *server.Options, c EmbeddedConfig) error {
	if o.Host == "" && o.Port == 0 {
		if c.Listen == "" {
			o.DontListen = true
		} else if err := setAddress("nats.embedded.listen", c.Listen, &o.Host, &o.Port); err != nil {
			return err
		}
	}
	if c.WebsocketListen != "" && o.Websocket.Port == 0 {
		o.Websocket.NoTLS = o.Websocket.TLSConfig == nil
		return setAddress("nats.embedded.websocket_listen", c.WebsocketListen, &o.Websocket.Host, &o.Websocket.Port)
	}
	return nil
}

func setAddress(key, address string, host *string, port *int) error {
	h, p, err := splitAddress(address)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if p == 0 {
		p = anyPort
	}
	*host, *port = h, p
	return nil
}

func setStore(o *server.Options, c EmbeddedConfig) error {
	o.JetStream = true
	if o.StoreDir == "" {
		o.StoreDir = c.StoreDir
	}
	if o.JetStreamMaxMemory <= 0 {
		o.JetStreamMaxMemory = 256 << 20
	}
	if o.JetStreamMaxStore <= 0 {
		o.JetStreamMaxStore = c.MaxStoreBytes
	}
	if o.JetStreamMaxStore <= 0 {
		limit, err := storeLimit(o.StoreDir)
		if err != nil {
			return fmt.Errorf("nats.embedded.store_dir: %w", err)
		}
		o.JetStreamMaxStore = limit
	}
	if o.SyncAlways || o.SyncInterval != 0 {
		return nil
	}
	if c.Sync == syncAlways {
		o.SyncAlways = true
		return nil
	}
	interval, err := time.ParseDuration(c.Sync)
	if err != nil {
		return fmt.Errorf("nats.embedded.sync: %w", err)
	}
	o.SyncInterval = interval
	return nil
}

// guardListeners refuses a server that strangers could use.
func guardListeners(o *server.Options) error {
	login := o.Username != "" || o.Authorization != "" || len(o.Users) > 0 || len(o.Nkeys) > 0 || len(o.TrustedKeys) > 0 ||
		len(o.TrustedOperators) > 0 || o.AuthCallout != nil
	listeners := []struct {
		what, host string
		open, safe bool
	}{
		{"clients", o.Host, !o.DontListen, login || o.TLSVerify},
		{"websocket clients", o.Websocket.Host, o.Websocket.Port != 0, login || o.Websocket.Username != "" || o.Websocket.Token != ""},
		{"leaf nodes", o.LeafNode.Host, o.LeafNode.Port != 0, login || o.LeafNode.Username != "" || len(o.LeafNode.Users) > 0 || o.LeafNode.Nkey != ""},
		{"MQTT clients", o.MQTT.Host, o.MQTT.Port != 0, login || o.MQTT.Username != "" || o.MQTT.Token != ""},
		{"routes", o.Cluster.Host, o.Cluster.Port != 0, o.Cluster.Username != "" || o.Cluster.TLSConfig != nil},
	}
	for _, l := range listeners {
		if l.open && !l.safe && !loopback(l.host) {
			return fmt.Errorf("embedded nats-server: listening for %s on %q beyond loopback without any authentication is refused: listen on 127.0.0.1, "+
				"or set nats.user and nats.password, nats.token or nats.nkey_seed_file, or users in nats.embedded.config_file", l.what, l.host)
		}
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// unlimited is for systems on which free disk space cannot be asked for.
const unlimited = math.MaxInt64 / 4
