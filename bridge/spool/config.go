package spool

// Config says where the spool is and how large it may get. It is the section [spool] of the configuration.
type Config struct {
	// Dir is the directory of the spool. One process at a time can use it.
	Dir string `koanf:"dir"`
	// MaxBytes bounds what the spool holds, in bytes, with some dozen bytes for each message.
	MaxBytes int64 `koanf:"max_bytes"`
}

// minBytes is the smallest spool that makes sense: a few webhooks of the largest size.
const minBytes = 1 << 20

// DefaultConfig is a spool of 1 GiB.
func DefaultConfig() Config { return Config{Dir: "data/spool", MaxBytes: 1 << 30} }

// Check reports every value that cannot be right, with its key relative to the section.
func (c Config) Check(report func(key, rule string, value any)) {
	if c.Dir == "" {
		report("dir", "must be a directory", c.Dir)
	}
	if c.MaxBytes < minBytes {
		report("max_bytes", "must be at least 1048576", c.MaxBytes)
	}
}
