package asyncapi

import (
	"maps"
	"slices"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// builder collects the parts of the document.
type builder struct {
	names                          subjects.Names
	channels, operations, messages object
}

// Actions of operations, as the bridge does them.
const (
	send    = "send"
	receive = "receive"
)

// channel is a channel with one operation of the bridge on it.
type channel struct {
	name, address string // an empty address is one that the message tells
	stream        string // that stores it; empty for none
	tag           string
	action        string
	does          string // the summary of the operation
	messages      []string
	parameters    []string
	reply         object
	queue         string // of the bridge's subscription
}

// add adds a channel and its operation.
func (b *builder) add(c channel) {
	messages, uses := object{}, []object{}
	for _, m := range c.messages {
		messages[m] = ref("#/components/messages/" + m)
		uses = append(uses, ref("#/channels/"+c.name+"/messages/"+m))
	}
	entry := object{"messages": messages, "title": c.name, "description": c.does, "servers": []object{ref("#/servers/nats")}, "bindings": object{"nats": object{}}}
	entry["address"] = nil
	if c.address != "" {
		entry["address"] = c.address
	}
	if c.stream != "" {
		entry["x-stream"] = c.stream
	}
	if len(c.parameters) > 0 {
		parameters := object{}
		for _, p := range c.parameters {
			parameters[p] = ref("#/components/parameters/" + p)
		}
		entry["parameters"] = parameters
	}
	b.channels[c.name] = entry
	if c.action == "" {
		return
	}
	binding := object{"bindingVersion": "0.1.0"}
	if c.queue != "" {
		binding["queue"] = c.queue
	}
	operation := object{
		"action": c.action, "channel": ref("#/channels/" + c.name), "messages": uses, "summary": c.does,
		"tags": []object{{"name": c.tag}}, "bindings": object{"nats": binding},
	}
	if c.reply != nil {
		operation["reply"] = c.reply
	}
	b.operations[c.action+"."+c.name] = operation
}

// message is one message of the document.
type message struct {
	name, title, about string
	carrier            subjects.Carrier
	payload            any
	headers            object // of the example
	body               any    // of the example; nil for none
	contentType        string
}

func (b *builder) message(m message) {
	entry := object{
		"name": m.name, "title": m.title, "summary": m.about, "bindings": object{"nats": object{}}, "contentType": subjects.ContentTypeJSON,
	}
	if m.carrier != "" {
		entry["headers"] = schemaRef("headers." + schema.HeadersName(m.carrier))
	}
	if m.payload != nil {
		entry["payload"] = m.payload
	}
	if m.contentType != "" {
		entry["contentType"] = m.contentType
	}
	example := object{"name": m.name}
	if m.headers != nil {
		example["headers"] = m.headers
	}
	if m.body != nil {
		example["payload"] = m.body
	}
	entry["examples"] = []object{example}
	b.messages[m.name] = entry
}

func ref(to string) object { return object{"$ref": to} }

func schemaRef(name string) object { return ref("#/components/schemas/" + name) }

// parameters are what stands for parts of a subject, by name.
func parameters() object {
	const token = "made a token: itself if it is 1 to 64 of A-Z, a-z, 0-9, _ and -, else ~ and the base64url SHA-256 of it"
	return object{
		"noun":         object{"description": "The part of the name before the first underscore or dot."},
		"verb":         object{"description": "The rest of the name."},
		"inbox":        object{"description": "The inbox id, " + token + "; - if there is none."},
		"conversation": object{"description": "The conversation id, made a token likewise."},
		"command":      object{"description": "The command id, " + token + "."},
		"name":         object{"description": "The sender's choice; must be a token."},
	}
}

// with returns an object with the members of others.
func with(one object, more ...object) object {
	all := maps.Clone(one)
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

// oneOfCommands is the payload of what carries any command.
func oneOfCommands() object {
	var all []object
	for _, k := range subjects.Kinds() {
		all = append(all, schemaRef("command."+string(k)))
	}
	return object{"anyOf": slices.Clip(all)}
}
