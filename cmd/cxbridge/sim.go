package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

func simCommand() *cobra.Command {
	var o cxsim.Options
	var listen, profile string
	var webhooks []string
	cmd := &cobra.Command{
		Use: "sim", Short: "Run the simulated CX API alone", Args: noArgs,
		Long: "Run a simulation of the Sangoma CX Digital Interactions API, with which a bridge or a bot can be tried without an account.\n" +
			"It keeps everything in memory.",
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8090", "address to listen on; port 0 takes any free one")
	f.BoolVar(&o.AllowRemote, "allow-remote", false, "permit an address beyond loopback")
	f.StringVar(&o.TenantDomain, "tenant", cxsim.DefaultTenant, "domain of the tenant")
	f.StringVar(&o.Token, "token", cxsim.DefaultToken, "access token that the API takes")
	f.StringVar(&o.SigningSecret, "signing-secret", "", "sign webhooks with this secret")
	f.StringVar(&profile, "profile", string(cxsim.V313), "version of the platform to imitate: "+profileNames())
	f.StringArrayVar(&webhooks, "webhook", nil, "URL that gets conversation_created and message_created from the start; may be repeated")
	f.IntVar(&o.WebhookAttempts, "webhook-attempts", 1, "how often a delivery is tried until it succeeds; -1 for ever")
	f.IntVar(&o.JournalLimit, "journal", 10000, "how many requests and deliveries are remembered")
	f.Uint64Var(&o.Seed, "seed", 0, "of everything that looks random")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if o.Profile, err = cxsim.ParseProfile(profile); err != nil {
			return usageError{fmt.Errorf("--%w", err)}
		}
		return simulate(cmd, o, listen, webhooks)
	}
	return cmd
}

func profileNames() string {
	var names []string
	for _, p := range cxsim.Profiles() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

func simulate(cmd *cobra.Command, o cxsim.Options, listen string, webhooks []string) error {
	sim := cxsim.New(o)
	defer sim.Close()
	base, err := sim.Start(listen)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	for _, url := range webhooks {
		sim.Subscribe(url)
	}
	if err := say(cmd.OutOrStdout(), "cxbridge sim is ready: %s for tenant %s", base, o.TenantDomain); err != nil {
		return err
	}
	<-cmd.Context().Done()
	return nil
}
