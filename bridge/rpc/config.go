package rpc

import "time"

// Config is the section [rpc] of the configuration.
type Config struct {
	Timeout time.Duration `koanf:"timeout"` // how long a request waits for the result of its command, unless it says otherwise
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Timeout: 30 * time.Second} }

// Check reports what is wrong with the configuration.
func (c Config) Check(report func(key, rule string, value any)) {
	if c.Timeout < time.Second || c.Timeout > time.Hour {
		report("timeout", "must be from 1s to 1h", c.Timeout)
	}
}
