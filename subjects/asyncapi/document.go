package asyncapi

import (
	"bytes"
	"fmt"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// Version is the version of the contract. A new member, header or channel raises the second number.
const Version = "1.0.0"

// object is a JSON object.
type object = map[string]any

// Document returns the AsyncAPI document, always the same bytes for the same arguments. The version is that of the contract, which is
// [Version] unless there is a reason for another.
func Document(names subjects.Names, settings subjects.StreamSettings, version string) ([]byte, error) {
	if names.Prefix() == "" {
		return nil, fmt.Errorf("asyncapi: no subject prefix")
	}
	b := &builder{names: names, channels: object{}, operations: object{}, messages: object{}}
	b.events()
	b.commands()
	b.outcomes()
	b.services()
	var out bytes.Buffer
	err := schema.Write(&out, object{
		"asyncapi":           "3.0.0",
		"id":                 "urn:cxbridge",
		"info":               info(version),
		"defaultContentType": subjects.ContentTypeJSON,
		"servers": object{"nats": object{
			"host": "127.0.0.1:4222", "protocol": "nats", "description": "A NATS server with JetStream: the embedded one, or one of yours.",
		}},
		"channels":    b.channels,
		"operations":  b.operations,
		"components":  object{"messages": b.messages, "parameters": parameters(), "schemas": schemas()},
		"x-streams":   streams(names, settings),
		"x-consumers": consumers(names, settings),
	})
	if err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	return out.Bytes(), nil
}

func info(version string) object {
	return object{
		"title": "cxbridge", "version": version,
		"description": "Sangoma CX Digital Interactions on NATS JetStream: webhook events come in on the bus, commands go out from it. " +
			"Nothing accepted is lost, nothing is done twice, each conversation stays in order, and every command gets exactly one result.",
		"license": object{"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
		"contact": object{"name": "cxbridge", "url": "https://github.com/cxbridge/cxbridge"},
		"tags": []object{
			{"name": "events", "description": "What happens at Sangoma CX."},
			{"name": "commands", "description": "What bots ask for."},
			{"name": "results", "description": "How commands ended."},
			{"name": "dead", "description": "What could not be done or understood."},
			{"name": "rpc", "description": "The NATS micro service cxbridge."},
		},
	}
}

// streams tells what bots can rely on; the bridge's own bookkeeping is left out.
func streams(names subjects.Names, settings subjects.StreamSettings) []object {
	var all []object
	for _, s := range names.Streams(settings) {
		if s.Internal {
			continue
		}
		all = append(all, object{
			"name": s.Name, "description": s.Description, "subjects": s.Subjects, "retention": "limits", "storage": "file",
			"maxAge": s.MaxAge.String(), "duplicateWindow": s.DuplicateWindow.String(), "replicas": max(s.Replicas, 1),
			"allowDirect": s.AllowDirect, "allowMsgTTL": s.AllowMsgTTL, "allowMsgSchedules": s.AllowMsgSchedules,
		})
	}
	return all
}

// consumers tells which consumers there are, and how a bot makes its own.
func consumers(names subjects.Names, settings subjects.StreamSettings) []object {
	return []object{
		{
			"stream": names.CommandsStream(), "name": "cxbridge-<epoch>", "owner": "bridge", "filterSubjects": []string{names.Prefix() + ".cmd.*.>"},
			"ackPolicy": "explicit", "maxDeliver": -1,
			"description": "Made and deleted by the bridge that carries out commands. Leave it alone, and read commands with a consumer of another name if you must.",
		},
		{
			"stream": names.EventsStream(), "name": "<the bot's name>", "owner": "bot", "filterSubjects": names.EventFilter(subjects.EventMessageCreated, settings.Keyed),
			"ackPolicy": "explicit", "maxDeliver": -1,
			"description": "A durable pull consumer. Acknowledge when the command that answers is stored; an event may come again, so derive the command id from the event's id.",
		},
		{
			"stream": names.ResultsStream(), "name": "<the bot's name>", "owner": "bot", "filterSubjects": []string{names.Prefix() + ".result.*.>"},
			"ackPolicy": "explicit", "maxDeliver": -1, "description": "A consumer for the results, or Cx-Reply-To on each command.",
		},
	}
}
