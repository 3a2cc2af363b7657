package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cxbridge/cxbridge/bridge"
)

// configVariable names the configuration file when no flag does.
const configVariable = bridge.EnvPrefix + "CONFIG"

const configHelp = `
The configuration comes from a TOML file, then the environment, then flags; what comes later wins. Each key is a variable, such as
CXBRIDGE_CX__TENANT_DOMAIN for cx.tenant_domain, and, secrets aside, a flag, such as --cx.tenant_domain. config.example.toml explains
every key.`

// configFlags adds the flags of the configuration to a command, and returns how to load it. With apiOnly the command needs nothing but the
// API, and what concerns the rest may be missing.
func configFlags(cmd *cobra.Command, apiOnly bool) func() (bridge.Config, error) {
	sources := sourceFlags(cmd)
	return func() (bridge.Config, error) {
		from := sources()
		from.APIOnly = apiOnly
		return bridge.LoadConfig(from)
	}
}

// sourceFlags adds the flags of the configuration to a command, and returns how to find out where it comes from.
func sourceFlags(cmd *cobra.Command) func() bridge.Sources {
	flags := cmd.Flags()
	file := flags.StringP("config", "c", os.Getenv(configVariable), "TOML file with the configuration; also $"+configVariable)
	for _, key := range bridge.FlagKeys() {
		flags.Var(&keyFlag{}, key, "see config.example.toml")
		flags.Lookup(key).Hidden = true
	}
	cmd.Long = strings.TrimSpace(cmd.Long + "\n" + configHelp)
	return func() bridge.Sources {
		return bridge.Sources{File: *file, Environ: os.Environ(), Ignore: []string{configVariable}, Flags: changed(flags)}
	}
}

// keyFlag is the text that a flag gives to a key of the configuration; its form is checked with all other sources.
type keyFlag struct{ text string }

func (f *keyFlag) String() string        { return f.text }
func (f *keyFlag) Set(text string) error { f.text = text; return nil }
func (f *keyFlag) Type() string          { return "value" }

func changed(flags *pflag.FlagSet) map[string]string {
	values := map[string]string{}
	flags.Visit(func(f *pflag.Flag) {
		if key, ok := f.Value.(*keyFlag); ok {
			values[f.Name] = key.text
		}
	})
	return values
}
