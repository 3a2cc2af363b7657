package webhook

import (
	"crypto/tls"
	"log/slog"
)

// Listener returns the configuration of a listener that uses these files, which are read again when they change. With authorities of clients, it
// lets in only who shows a certificate that one of them signed.
func (c TLSConfig) Listener(log *slog.Logger) (*tls.Config, error) {
	config, _, err := newTLS(c, log)
	return config, err
}

// Check reports what is wrong with the files, by the key in their section; by none if it concerns several.
func (c TLSConfig) Check(report func(key, rule string, value any)) {
	switch {
	case (c.CertFile == "") != (c.KeyFile == ""):
		report("cert_file", "must be set together with key_file", c.CertFile)
	case c.ClientCAFile != "" && c.CertFile == "":
		report("client_ca_file", "needs cert_file and key_file, too", c.ClientCAFile)
	case c.CertFile != "":
		if _, _, err := loadTLS(c); err != nil {
			report("", err.Error(), "")
		}
	}
}
