package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	connectTimeout    = 5 * time.Second
	inProcessPatience = 60 * time.Second
	reconnectWait     = 250 * time.Millisecond
	reconnectJitter   = 250 * time.Millisecond
	pingInterval      = 20 * time.Second
)

// connectOptions are what every connection has. Publishing while the server is away fails at once, instead of queueing in
// memory: who publishes has to know that nothing is stored.
func connectOptions(c Config, name string, state *state) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2), nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.ConnectHandler(state.connected), nats.ReconnectHandler(state.connected), nats.DisconnectErrHandler(state.disconnected),
		nats.ErrorHandler(state.failed), nats.ReconnectErrHandler(state.refused), nats.LameDuckModeHandler(state.lameDuck),
	}
	if c.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	identity, err := identityOption(c, state.log)
	if err != nil {
		return nil, err
	}
	if identity != nil {
		options = append(options, identity)
	}
	return options, nil
}

// identityOption is how the bridge logs in, nil for not at all. Files are read again at every connect.
func identityOption(c Config, log *slog.Logger) (nats.Option, error) {
	switch {
	case c.CredentialsFile != "":
		if _, err := os.Stat(c.CredentialsFile); err != nil {
			return nil, fmt.Errorf("nats.credentials_file: %w", err)
		}
		return nats.UserCredentials(c.CredentialsFile), nil
	case c.NKeySeedFile != "":
		option, err := nats.NkeyOptionFromSeed(c.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("nats.nkey_seed_file: %w", err)
		}
		return option, nil
	case c.User != "":
		read, err := reader("nats.password_file", c.Password, c.PasswordFile, log)
		if err != nil {
			return nil, err
		}
		return nats.UserInfoHandler(func() (string, string) { return c.User, read() }), nil
	case c.Token != "" || c.TokenFile != "":
		read, err := reader("nats.token_file", c.Token, c.TokenFile, log)
		if err != nil {
			return nil, err
		}
		return nats.TokenHandler(read), nil
	}
	return nil, nil
}

// reader returns a function that reads a secret again each time. A file that has become unreadable leaves the value from before.
func reader(key, value, file string, log *slog.Logger) (func() string, error) {
	last, err := secret(value, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if file == "" {
		return func() string { return last }, nil
	}
	// nats.go calls this while it connects, which happens in one goroutine at a time.
	return func() string {
		next, err := secret(value, file)
		if err != nil {
			log.Warn("secret file cannot be read; going on with the value from before", "key", key, "error", err)
			return last
		}
		last = next
		return last
	}, nil
}

// secret is the content of the file, if there is one, else the value.
func secret(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", errors.New("file is empty")
	}
	return text, nil
}

// tlsOptions encrypt the connection to an external server. Certificates are read again at every connect.
func tlsOptions(c TLSConfig) []nats.Option {
	var options []nats.Option
	if c.ServerName != "" {
		options = append(options, nats.Secure(&tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}))
	}
	if c.CAFile != "" {
		options = append(options, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		options = append(options, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	if c.HandshakeFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	return options
}

// connectExternal returns at once, with a connection that keeps trying when no server can be reached.
func connectExternal(c Config, options []nats.Option, state *state) (*nats.Conn, error) {
	options = append(options, nats.Timeout(connectTimeout), nats.RetryOnFailedConnect(true))
	options = append(options, tlsOptions(c.TLS)...)
	conn, err := nats.Connect(c.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	state.begun(conn)
	return conn, nil
}

// connectInProcess connects to the embedded server, which is ready, so that the first try decides.
func connectInProcess(server nats.InProcessConnProvider, configFile string, options []nats.Option) (*nats.Conn, error) {
	conn, err := nats.Connect("", append(options, nats.InProcessServer(server), nats.Timeout(inProcessPatience))...)
	if err != nil && configFile != "" {
		// A refusal often shows as a closed pipe only: the server hangs up before its reason is read.
		return nil, fmt.Errorf("the embedded nats-server refused the bridge itself (%w): when nats.embedded.config_file demands a login, "+
			"set nats.user and nats.password (or token, nkey_seed_file, credentials_file) to one of its users", err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded nats-server: %w", err)
	}
	return conn, nil
}
