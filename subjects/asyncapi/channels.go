package asyncapi

import (
	"strings"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// Queries are the endpoints of the micro service that are no commands. A bridge that does not call the API has no inbox.list.
func Queries() []string {
	return []string{
		"bridge.config", "bridge.dead.drop", "bridge.dead.list", "bridge.dead.replay", "bridge.dead.show", "bridge.drift", "bridge.explain",
		"bridge.lanes", "bridge.pause", "bridge.resume", "bridge.status", "bridge.streams", "inbox.list",
	}
}

// about tells what a query does, and what its body may say.
func about(query string) string {
	switch query {
	case "bridge.drift":
		return "What the bridge that happens to be asked has seen in events that nobody knows: members, values and event names of the vendor's."
	case "bridge.explain":
		return "Everything known of a command, a message or an event: {\"id\"}; or of a conversation: {\"conversation_id\", \"newer_than\"}, the last 24 h unless the second says."
	case "bridge.pause":
		return "Lets all bridges begin no more calls: {\"by\", \"reason\"}, both optional."
	case "bridge.resume":
		return "Goes on after a pause: {\"by\", \"reason\"}, both optional."
	case "bridge.status":
		return "How the bridge is that happens to be asked."
	case "bridge.lanes":
		return "Conversations and contacts whose commands have waited the longest, of the bridge that happens to be asked: {\"limit\"}, optional."
	case "bridge.streams":
		return "What the streams hold, and how far their consumers have come."
	case "bridge.config":
		return "The configuration in force of the bridge that happens to be asked, without secrets."
	case "bridge.dead.show":
		return "One dead letter with each attempt: {\"sequence\", \"body\"}; the body only if the second is true."
	case "bridge.dead.drop":
		return "Deletes dead letters for good: {\"sequences\", \"dry_run\"}; only the first is needed."
	case "bridge.dead.list":
		return "Dead letters without their bodies: {\"reasons\", \"statuses\", \"subject\", \"command_id\", \"older_than\", \"newer_than\", \"after\", \"limit\"}, all optional. What was left out, by the limit or because a message takes no more, begins after \"next\" of the answer."
	case "bridge.dead.replay":
		return "Publishes commands anew from their dead letters: {\"sequences\", \"keep\", \"dry_run\"}; only the first is needed."
	case "inbox.list":
		return "The inboxes of the tenant."
	}
	return "A query."
}

// serviceQueue is the queue group of NATS micro services.
const serviceQueue = "q"

func (b *builder) events() {
	stream, prefix := b.names.EventsStream(), b.names.Prefix()
	var all []string
	for _, l := range schema.Layouts() {
		name := "event." + l.Name
		all = append(all, name)
		b.message(eventMessage(l))
		for _, event := range l.Events {
			b.add(channel{
				name: "event." + event, address: b.names.Event(event), stream: stream, tag: "events", action: send,
				does: "Events " + event + ", body as the vendor sent it.", messages: []string{name},
			})
		}
	}
	rest := []string{"event.any"}
	b.add(channel{
		name: "event.other", address: prefix + ".{noun}.{verb}", stream: stream, tag: "events", action: send,
		does: "All other events: the first _ of the name splits noun from verb.", messages: rest, parameters: []string{"noun", "verb"},
	})
	b.add(channel{
		name: "event.unknown", address: b.names.Event(""), stream: stream, tag: "events", action: send,
		does: "Events whose name makes no subject.", messages: rest,
	})
	b.add(channel{
		name: "event.keyed", address: prefix + ".event.{noun}.{verb}.{inbox}.{conversation}", stream: stream, tag: "events", action: send,
		does:     "Instead of the channels above when subjects.keyed is set: all events, by inbox and conversation.",
		messages: all, parameters: []string{"noun", "verb", "inbox", "conversation"},
	})
}

func (b *builder) commands() {
	stream := b.names.CommandsStream()
	b.message(resultMessage("reply", "Result on Cx-Reply-To", subjects.OnReplies))
	b.add(channel{name: "reply", tag: "results", does: "Results on the subject that a command asks for with Cx-Reply-To.", messages: []string{"reply"}})
	for _, k := range subjects.Kinds() {
		name := "command." + string(k)
		b.message(commandMessage(k))
		c := channel{
			name: name, address: b.names.Command(k), stream: stream, tag: "commands", action: receive, does: does(k), messages: []string{name},
			reply: object{
				"address": object{"location": "$message.header#/" + subjects.HeaderReplyTo, "description": "Where the result is published beside its own subject, if the command asks for it."},
				"channel": ref("#/channels/reply"), "messages": []object{ref("#/channels/reply/messages/reply")},
			},
		}
		b.add(c)
		if aboutConversation(k) {
			c.name, c.address, c.parameters = name+".keyed", c.address+".{conversation}", []string{"conversation"}
			c.does += " The conversation at the end is checked against the body."
			b.add(c)
		}
	}
	b.message(scheduleMessage(b.names))
	b.add(channel{
		name: "schedule", address: b.names.Schedule("{name}"), stream: stream, tag: "commands",
		does: "Delayed commands, which the server itself publishes in time. The bridge does not read this subject.", messages: []string{"schedule"}, parameters: []string{"name"},
	})
}

func (b *builder) outcomes() {
	results, dead, prefix := b.names.ResultsStream(), b.names.DeadStream(), b.names.Prefix()
	b.message(resultMessage("result", "Result", subjects.OnResults))
	b.message(deadCommandMessage(b.names))
	b.message(deadWebhookMessage())
	for _, k := range subjects.Kinds() {
		b.add(channel{
			name: "result." + string(k), address: resultAddress(b.names, k), stream: results, tag: "results", action: send,
			does: "Exactly one final result for each " + string(k) + ".", messages: []string{"result"}, parameters: []string{"command"},
		})
		b.add(channel{
			name: "dead." + string(k), address: b.names.DeadCommand(k), stream: dead, tag: "dead", action: send,
			does: "Each " + string(k) + " that ended as " + deadStatuses() + ", whole.", messages: []string{"dead.command"},
		})
	}
	b.add(channel{
		name: "result.other", address: prefix + ".result.{noun}.{verb}.{command}", stream: results, tag: "results", action: send,
		does: "Results of commands that do not exist: always invalid.", messages: []string{"result"}, parameters: []string{"noun", "verb", "command"},
	})
	b.add(channel{
		name: "dead.other", address: prefix + ".dead.cmd.{noun}.{verb}", stream: dead, tag: "dead", action: send,
		does: "Commands that do not exist, whole.", messages: []string{"dead.command"}, parameters: []string{"noun", "verb"},
	})
	b.add(channel{
		name: "dead.webhook", address: b.names.DeadWebhook(), stream: dead, tag: "dead", action: send,
		does: "Webhook bodies that are no event, whole.", messages: []string{"dead.webhook"},
	})
}

func (b *builder) services() {
	b.message(answerMessage())
	b.message(errorMessage())
	b.message(queryMessage())
	b.message(foundMessage())
	b.add(channel{name: "rpc.answer", tag: "rpc", does: "Answers to commands, on the subject that the request tells.", messages: []string{"rpc.answer", "rpc.error"}})
	b.add(channel{name: "rpc.found", tag: "rpc", does: "Answers to queries, on the subject that the request tells.", messages: []string{"rpc.found", "rpc.error"}})
	for _, k := range subjects.Kinds() {
		request := requestMessage(k)
		b.message(request)
		b.add(channel{
			name: "rpc." + string(k), address: b.names.RPC(k), tag: "rpc", action: receive, queue: serviceQueue,
			does: "A request that is published as a command and answered with its result, whatever its status.", messages: []string{request.name}, reply: answers("rpc.answer"),
		})
	}
	for _, q := range Queries() {
		b.add(channel{
			name: "rpc." + q, address: b.names.RPCSubject(q), tag: "rpc", action: receive, queue: serviceQueue,
			does: about(q), messages: []string{"rpc.query"}, reply: answers("rpc.found"),
		})
	}
}

func answers(name string) object {
	at := "#/channels/" + name
	return object{"channel": ref(at), "messages": []object{ref(at + "/messages/" + name), ref(at + "/messages/rpc.error")}}
}

func resultAddress(names subjects.Names, k subjects.Kind) string {
	const id = "id"
	return strings.TrimSuffix(names.Result(k, id), id) + "{command}"
}

func deadStatuses() string {
	var dead []string
	for _, s := range subjects.Statuses() {
		if s.DeadLetter() {
			dead = append(dead, string(s))
		}
	}
	return strings.Join(dead[:len(dead)-1], ", ") + " or " + dead[len(dead)-1]
}

// aboutConversation reports whether commands of a kind are about a conversation that exists.
func aboutConversation(k subjects.Kind) bool {
	for _, m := range k.Shape().Members {
		if m.Name == "conversation_id" {
			return true
		}
	}
	return false
}

func does(k subjects.Kind) string {
	switch k {
	case subjects.MessageSend:
		return "Posts a message into a conversation."
	case subjects.ConversationStart:
		return "Starts a conversation, and creates its contact if details are given."
	case subjects.ConversationHandoff:
		return "Delivers a conversation to a human agent."
	case subjects.ConversationFinish:
		return "Finishes a conversation."
	case subjects.ContactCreate:
		return "Creates a contact."
	}
	return string(k)
}
