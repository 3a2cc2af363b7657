package webhook

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// tokenRule is what tokenForm demands.
const tokenRule = "must be 1 to 256 characters that may stand in a URL's path, without '/' and '%'"

var (
	tokenForm  = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()*+,;=:@-]{1,256}$`)
	headerForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)
)

// Check reports everything that is wrong with the configuration: key (below "webhook"), the rule it breaks, and its value. Secrets are
// never reported.
func (c Config) Check(report func(key, rule string, value any)) {
	c.checkListen(report)
	c.checkTokens(report)
	c.checkSignature(report)
	c.checkNetworks(report)
	c.checkLimits(report)
	c.checkTLS(report)
	c.checkRegistration(report)
	if _, err := compileFields(c.Fields); err != nil {
		report("fields."+err.key, err.rule, err.value)
	}
}

func (c Config) checkListen(report func(key, rule string, value any)) {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		report("listen", "must be an address such as 127.0.0.1:8080", c.Listen)
	}
}

func (c Config) checkTokens(report func(key, rule string, value any)) {
	if len(c.PathTokens) == 0 && c.PathTokensFile == "" && !c.AllowWithoutToken {
		report("path_tokens", "must hold at least one token, or else everybody may send; set allow_without_token to allow that", "")
	}
	for i, token := range c.PathTokens {
		if !tokenForm.MatchString(token) {
			report(fmt.Sprintf("path_tokens[%d]", i), tokenRule, "(hidden)")
		}
	}
	if c.PathTokensFile == "" {
		return
	}
	// That the file cannot be read is reported with that of all others.
	if _, err := readLines(c.PathTokensFile); err != nil {
		return
	}
	if _, err := readTokens(c.PathTokensFile); err != nil {
		report("path_tokens_file", "must hold tokens that can be used, but "+err.Error(), "")
	}
}

func (c Config) checkSignature(report func(key, rule string, value any)) {
	switch c.SignatureMode {
	case SignatureOff:
	case SignatureLog, SignatureEnforce:
		if len(c.SignatureSecrets) == 0 && c.SignatureSecretsFile == "" {
			report("signature_secrets", "must hold at least one secret unless signature_mode is off", "")
		}
	default:
		report("signature_mode", "must be off, log or enforce", c.SignatureMode)
	}
	for i, secret := range c.SignatureSecrets {
		if strings.TrimSpace(secret) == "" {
			report(fmt.Sprintf("signature_secrets[%d]", i), "must not be empty", "(hidden)")
		}
	}
	for key, header := range map[string]string{
		"signature_header": c.SignatureHeader, "timestamp_header": c.TimestampHeader, "forwarded_header": c.ForwardedHeader,
	} {
		if !headerForm.MatchString(header) {
			report(key, "must be the name of an HTTP header", header)
		}
	}
	if c.SignatureTolerance <= 0 {
		report("signature_tolerance", "must be more than 0", c.SignatureTolerance)
	}
}

func (c Config) checkNetworks(report func(key, rule string, value any)) {
	for key, list := range map[string][]string{"allow_networks": c.AllowNetworks, "trusted_proxies": c.TrustedProxies} {
		for i, text := range list {
			if _, err := parseNetwork(text); err != nil {
				report(fmt.Sprintf("%s[%d]", key, i), "must be a network such as 192.0.2.0/24, or an address", text)
			}
		}
	}
}

func (c Config) checkLimits(report func(key, rule string, value any)) {
	for key, n := range map[string]int64{
		"max_body_bytes": c.MaxBodyBytes, "max_header_bytes": int64(c.MaxHeaderBytes), "max_connections": int64(c.MaxConnections),
		"max_in_flight": int64(c.MaxInFlight),
	} {
		if n <= 0 {
			report(key, "must be more than 0", n)
		}
	}
	if c.MaxInFlightBytes < c.MaxBodyBytes {
		report("max_in_flight_bytes", "must not be less than max_body_bytes", c.MaxInFlightBytes)
	}
	for key, d := range map[string]time.Duration{
		"read_header_timeout": c.ReadHeaderTimeout, "read_timeout": c.ReadTimeout, "idle_timeout": c.IdleTimeout,
		"attempt_timeout": c.AttemptTimeout,
	} {
		if d <= 0 {
			report(key, "must be more than 0", d)
		}
	}
	if c.StoreTimeout < 2*c.AttemptTimeout {
		report("store_timeout", "must be at least twice attempt_timeout", c.StoreTimeout)
	}
	if c.MaxBotTurns < 0 || c.MaxBotTurns > 10000 {
		report("max_bot_turns", "must be 0 to 10000", c.MaxBotTurns)
	}
}

func (c Config) checkTLS(report func(key, rule string, value any)) {
	c.TLS.Check(func(key, rule string, value any) { report(strings.TrimSuffix("tls."+key, "."), rule, value) })
}

func (c Config) checkRegistration(report func(key, rule string, value any)) {
	if c.PublicURL == "" {
		return
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		report("public_url", "must be an http or https URL without a query", "")
	}
	if len(c.Subscriptions) == 0 {
		report("subscriptions", "must name at least one event", "")
	}
}
