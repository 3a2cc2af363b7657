package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/webhook"
	"github.com/cxbridge/cxbridge/cxapi"
)

func webhookCommand() *cobra.Command {
	return group("webhook", "The webhook at the vendor", webhookRegisterCommand())
}

func webhookRegisterCommand() *cobra.Command {
	var params cxapi.WebhookParams
	const short = "Register the webhook, so that events come to the bridge"
	cmd := configuredCommand("register", short, func(cmd *cobra.Command, cfg bridge.Config, client *cxapi.Client, asJSON bool) error {
		if err := complete(cmd, cfg.Webhook, &params); err != nil {
			return err
		}
		answer := struct {
			ID      cxapi.ID `json:"id"`
			Already bool     `json:"already_registered"`
		}{}
		made, err := client.CreateWebhook(cmd.Context(), params)
		var failed *cxapi.Error
		switch {
		case errors.As(err, &failed) && failed.AlreadyDone():
			answer.Already = true
		case err != nil:
			return err
		default:
			answer.ID = made.ID
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		if answer.Already {
			return say(cmd.OutOrStdout(), "It is registered already; its subscriptions may be others.")
		}
		return say(cmd.OutOrStdout(), "Registered as webhook %s.", answer.ID)
	})
	cmd.Flags().StringVar(&params.URL, "url", "", "public URL of the webhook, path token included (default webhook.public_url, with the first of webhook.path_tokens)")
	cmd.Flags().StringSliceVar(&params.Subscriptions, "subscriptions", nil, "events wanted (default webhook.subscriptions)")
	return cmd
}

// complete takes from the configuration what no flag tells.
func complete(cmd *cobra.Command, cfg webhook.Config, params *cxapi.WebhookParams) error {
	if !cmd.Flags().Changed("subscriptions") {
		params.Subscriptions = cfg.Subscriptions
	}
	if cmd.Flags().Changed("url") {
		return nil
	}
	if cfg.PublicURL == "" {
		return usageError{fmt.Errorf("--url or webhook.public_url is needed; see %s --help", cmd.CommandPath())}
	}
	target, err := (&webhook.Registrar{Config: cfg}).Target()
	if err == nil && strings.HasSuffix(target, webhook.Path) && !cfg.AllowWithoutToken {
		err = errors.New("webhook.public_url needs webhook.path_tokens")
	}
	if err != nil {
		return usageError{err}
	}
	params.URL = target
	return nil
}
