package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// simOptions are the flags of the simulator.
type simOptions struct {
	cxsim.Options

	listen, scenario                string
	webhooks, subscriptions, faults []string
	bot, inboxWebhook               string
	exit                            bool
}

func simCommand() *cobra.Command {
	var o simOptions
	cmd := &cobra.Command{
		Use: "sim", Short: "Run the simulated CX API alone", Args: noArgs,
		Long: "Run a simulation of the Sangoma CX Digital Interactions API, with which a bridge or a bot can be tried without an account.\n" +
			"It keeps everything in memory. What it has and what it was asked is shown below /_sim/; docs/simulator.md tells all of it.",
		Example: `  cxbridge sim
      the API at 127.0.0.1:8090; a bridge registers its webhook there by itself if it has a webhook.public_url
  cxbridge sim --webhook http://127.0.0.1:8080/webhooks/TOKEN
      events go to a bridge from the start
  cxbridge sim --profile v4.12 --signing-secret SECRET --webhook http://127.0.0.1:8080/webhooks/TOKEN
      a newer platform, which signs its webhooks
  cxbridge sim --seed 7 --fault '{"op": "message.send", "effect": "lost", "status": 504, "probability": 0.1}'
      every tenth message is posted, but its answer gets lost; the same ones each time
  cxbridge sim --scenario story.json --exit
      plays a story and ends: status 0, or 1 if it did not come to what the story waits for
  curl 127.0.0.1:8090/_sim/state
      everything that happened`,
	}
	o.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return simulate(cmd, o) }
	return cmd
}

func (o *simOptions) flags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:8090", "address to listen on; port 0 takes any free one")
	f.BoolVar(&o.AllowRemote, "allow-remote", false, "permit an address beyond loopback")
	f.StringVar(&o.TenantDomain, "tenant", cxsim.DefaultTenant, "domain of the tenant")
	f.StringVar(&o.Token, "token", cxsim.DefaultToken, "access token that the API takes")
	f.StringVar(&o.ClientID, "client-id", cxsim.DefaultClientID, "client that the token server knows")
	f.StringVar(&o.ClientSecret, "client-secret", cxsim.DefaultClientSecret, "secret of that client")
	f.DurationVar(&o.TokenLifetime, "token-lifetime", cxsim.VendorTokenLifetime, "life of a token of the token server")

	f.Uint64Var(&o.Seed, "seed", 0, "of everything that looks random: tokens, secrets, delivery ids, chances")
	f.StringVar(&o.scenario, "scenario", "", "file with what happens by itself")
	f.BoolVar(&o.exit, "exit", false, "end when the scenario has been played")
	f.StringArrayVar(&o.faults, "fault", nil, "rule by which something goes wrong, as JSON; may be repeated")
	f.IntVar(&o.JournalLimit, "journal", 10000, "how many requests and deliveries are remembered")

	f.StringArrayVar(&o.webhooks, "webhook", nil, "URL that gets the --events from the start; may be repeated")
	f.StringSliceVar(&o.subscriptions, "events", []string{"conversation_created", "message_created"}, "events that each --webhook gets")
	f.StringVar(&o.bot, "bot", "", "URL of an agent bot that is assigned to the inbox Website from the start")
	f.StringVar(&o.inboxWebhook, "inbox-webhook", "", "URL that gets every event of the inbox Chat from the start")
	f.StringVar(&o.SigningSecret, "signing-secret", "", "sign webhooks with this secret")
	f.IntVar(&o.WebhookAttempts, "webhook-attempts", 1, "how often a delivery to a webhook is tried until it succeeds; -1 for ever")
	f.DurationVar(&o.WebhookTimeout, "webhook-timeout", time.Minute, "for the answer to one delivery; the vendor waits 5s")
	f.DurationVar(&o.RetryWait, "retry-wait", cxsim.VendorRetryWait, "between two attempts at a delivery")
	f.BoolVar(&o.Unordered, "unordered", false, "let deliveries of one conversation overtake one another")
	f.BoolVar(&o.LateBinding, "late-binding", false, "build webhook bodies when they are sent, so that they may show later changes")

	f.Var(&choice[cxsim.Profile]{&o.Profile, cxsim.Profiles()}, "profile", "version of the platform to imitate")
	f.Var(&choice[cxsim.Envelope]{&o.Envelope, []cxsim.Envelope{"native", cxsim.EnvelopeBare, cxsim.EnvelopePayload, cxsim.EnvelopeData}},
		"envelope", "shape of successful answers")
	f.Var(&choice[cxsim.Slash]{&o.Slash, []cxsim.Slash{"refuse", cxsim.SlashRedirect, cxsim.SlashAccept}}, "slash", "what happens to a path without its last slash")
	f.Var(&choice[cxsim.BotPaths]{&o.BotPaths, []cxsim.BotPaths{"both", cxsim.BotPathsCurrent, cxsim.BotPathsOlder}}, "bot-paths", "which paths for agent bots there are")
	f.BoolVar(&o.IDsAsStrings, "string-ids", false, "ids are JSON strings")
	f.IntVar(&o.CreatedStatus, "created-status", 200, "HTTP status of a creation")
	f.BoolVar(&o.StartOpen, "start-open", false, "conversations begin open when their inbox has no agent bot")
	f.BoolVar(&o.StrictStatus, "strict-status", false, "a second handoff or finish is a 422")
	f.BoolVar(&o.PassThrough, "pass-through", false, "keep undocumented members of a posted message")
	f.IntVar(&o.MessagesPerMinute, "messages-per-minute", 200, "limit of one conversation; -1 for none")
	f.IntVar(&o.RequestsPerMinute, "requests-per-minute", 0, "limit of the whole API; 0 for none")
}

// choice is a flag with one of a few values, of which the first is the zero value of what it sets.
type choice[T ~string] struct {
	into *T
	of   []T
}

// String implements pflag.Value.
func (c *choice[T]) String() string {
	if *c.into == "" {
		return string(c.of[0])
	}
	return string(*c.into)
}

// Set implements pflag.Value.
func (c *choice[T]) Set(text string) error {
	for i, value := range c.of {
		if string(value) != text {
			continue
		}
		if *c.into = value; i == 0 {
			*c.into = ""
		}
		return nil
	}
	return fmt.Errorf("not one of %s", c.Type())
}

// Type implements pflag.Value; it stands in the help where others have "string".
func (c *choice[T]) Type() string {
	names := make([]string, 0, len(c.of))
	for _, value := range c.of {
		names = append(names, string(value))
	}
	return strings.Join(names, "|")
}

// prepare reads what flags lead to.
func (o *simOptions) prepare() (story cxsim.Scenario, faults []cxsim.Fault, err error) {
	for _, text := range o.faults {
		fault, err := cxsim.ParseFault([]byte(text))
		if err != nil {
			return story, nil, usageError{fmt.Errorf("--fault: %w", err)}
		}
		faults = append(faults, fault)
	}
	for _, name := range o.subscriptions {
		if !o.Profile.Knows(name) {
			return story, nil, usageError{fmt.Errorf("--events: %q is no event that a webhook can subscribe to in this profile", name)}
		}
	}
	if err := checkListen(o.listen); err != nil {
		return story, nil, usageError{fmt.Errorf("--listen: %w", err)}
	}
	if o.scenario == "" {
		if o.exit {
			return story, nil, usageError{errors.New("--exit needs --scenario")}
		}
		return story, faults, nil
	}
	text, err := os.ReadFile(o.scenario)
	if err == nil {
		story, err = cxsim.ParseScenario(text)
	}
	if err != nil {
		return story, nil, usageError{fmt.Errorf("--scenario: %w", err)}
	}
	return story, faults, nil
}

// checkListen refuses what is no address to listen on.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf(`must be host:port, such as "127.0.0.1:8090", not %q`, address)
	}
	return nil
}

func simulate(cmd *cobra.Command, o simOptions) error {
	story, faults, err := o.prepare()
	if err != nil {
		return err
	}
	sim := cxsim.New(o.Options)
	defer sim.Close()
	for _, fault := range faults {
		sim.Fault(fault)
	}
	for _, url := range o.webhooks {
		sim.Subscribe(url, o.subscriptions...)
	}
	if o.bot != "" {
		sim.AttachBot(sim.InboxID(cxsim.ChannelWebWidget), "Bot", o.bot)
	}
	if o.inboxWebhook != "" {
		sim.AttachInboxWebhook(sim.InboxID(cxsim.ChannelAPI), o.inboxWebhook)
	}
	base, err := sim.Start(o.listen)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	if err := o.greet(cmd, base); err != nil {
		return err
	}
	if o.scenario != "" {
		if err := perform(cmd, sim, story); err != nil || o.exit {
			return err
		}
	}
	<-cmd.Context().Done()
	return nil
}

func (o *simOptions) greet(cmd *cobra.Command, base string) error {
	root := strings.TrimSuffix(base, cxsim.Root)
	return say(cmd.OutOrStdout(), "cxbridge sim is ready: %s for tenant %s\nThe human agent's page: %s/_sim/ (what happened: %s/_sim/state, …/journal, …/deliveries)",
		base, o.TenantDomain, root, root)
}

// perform plays the scenario. A signal ends it as it ends the simulator.
func perform(cmd *cobra.Command, sim *cxsim.Sim, story cxsim.Scenario) error {
	err := sim.Play(cmd.Context(), story)
	if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return say(cmd.OutOrStdout(), "The scenario has been played.")
}
