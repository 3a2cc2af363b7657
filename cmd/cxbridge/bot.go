package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/cxapi"
)

func botCommand() *cobra.Command {
	return group("bot", "Agent bots at the vendor", botCreateCommand(), botAssignCommand())
}

func botCreateCommand() *cobra.Command {
	var params cxapi.AgentBotParams
	cmd := apiCommand("create", "Create an agent bot", func(cmd *cobra.Command, client *cxapi.Client, asJSON bool) error {
		if err := needed(cmd, "name", "url"); err != nil {
			return err
		}
		made, err := client.CreateAgentBot(cmd.Context(), params)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				ID cxapi.ID `json:"id"`
			}{made.ID})
		}
		return say(cmd.OutOrStdout(), "Created agent bot %s. Assign it to an inbox: cxbridge bot assign --bot %s --inbox ID", made.ID, made.ID)
	})
	cmd.Flags().StringVar(&params.Name, "name", "", "what people read")
	cmd.Flags().StringVar(&params.Description, "description", "", "what people read")
	cmd.Flags().StringVar(&params.OutgoingURL, "url", "", "public URL that gets its events, path token included")
	return cmd
}

func botAssignCommand() *cobra.Command {
	var inbox, bot string
	cmd := apiCommand("assign", "Assign an agent bot to an inbox", func(cmd *cobra.Command, client *cxapi.Client, asJSON bool) error {
		if err := needed(cmd, "inbox", "bot"); err != nil {
			return err
		}
		answer, err := client.AssignAgentBot(cmd.Context(), cxapi.StringID(inbox), cxapi.StringID(bot))
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Status int             `json:"http_status"`
				Answer json.RawMessage `json:"answer"`
			}{answer.Status, answer.Body})
		}
		return say(cmd.OutOrStdout(), "Assigned agent bot %s to inbox %s.", bot, inbox)
	})
	cmd.Flags().StringVar(&inbox, "inbox", "", "id of the inbox; see cxbridge inbox list")
	cmd.Flags().StringVar(&bot, "bot", "", "id of the agent bot")
	return cmd
}
