package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/cxapi"
)

func webhookCommand() *cobra.Command {
	return group("webhook", "The webhook at the vendor", webhookRegisterCommand())
}

func webhookRegisterCommand() *cobra.Command {
	var params cxapi.WebhookParams
	cmd := apiCommand("register", "Register the webhook, so that events come to the bridge", func(cmd *cobra.Command, client *cxapi.Client, asJSON bool) error {
		if err := needed(cmd, "url"); err != nil {
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
	cmd.Flags().StringVar(&params.URL, "url", "", "public URL of the webhook, path token included")
	cmd.Flags().StringSliceVar(&params.Subscriptions, "subscriptions", []string{"conversation_created", "message_created"}, "events wanted")
	return cmd
}
