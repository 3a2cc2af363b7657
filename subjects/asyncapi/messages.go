package asyncapi

import (
	"encoding/json"

	"github.com/cxbridge/cxbridge/subjects"
)

// What the examples are about.
const (
	exampleTenant = "acme.cx.sangoma.com"
	exampleTime   = "2026-11-22T10:00:00.000Z"
	exampleID     = "bot1-9001"
	exampleTrace  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

func exampleCommand(k subjects.Kind) object {
	switch k {
	case subjects.MessageSend:
		return object{"conversation_id": 42, "content": "Hello, how can I help?"}
	case subjects.ConversationStart:
		return object{"inbox_id": 5, "contact": object{"name": "Ann", "email": "ann@example.test"}, "initial_message": "Hello Ann"}
	case subjects.ContactCreate:
		return object{"inbox_id": 5, "name": "Ann", "email": "ann@example.test", "phone_number": "+15550100"}
	default: // about a conversation
		return object{"conversation_id": 42}
	}
}

func commandMessage(k subjects.Kind) message {
	headers := object{subjects.HeaderMsgID: exampleID, subjects.HeaderReplyTo: "_INBOX.bot1.9001", subjects.HeaderExpiresAt: "2026-11-22T10:05:00Z"}
	if k == subjects.MessageSend {
		headers[subjects.HeaderOnlyIf] = subjects.OnlyIfStillWithBot + ", " + subjects.OnlyIfNoNewerCustomer
	}
	return message{
		name: "command." + string(k), title: string(k), about: does(k), carrier: subjects.OnCommands, payload: schemaRef("command." + string(k)),
		headers: headers, body: exampleCommand(k),
	}
}

func scheduleMessage(names subjects.Names) message {
	return message{
		name: "schedule", title: "delayed command", about: "A command that the server publishes later; needs nats-server 2.12.", carrier: subjects.OnSchedules,
		payload: oneOfCommands(), body: exampleCommand(subjects.MessageSend),
		headers: object{
			subjects.HeaderSchedule: "@at 2026-11-22T10:00:00Z", subjects.HeaderScheduleTarget: names.Command(subjects.MessageSend),
			subjects.HeaderCEID: exampleID,
		},
	}
}

func resultMessage(name, title string, carrier subjects.Carrier) message {
	id := "result-" + exampleID
	headers := object{
		subjects.HeaderMsgID: id, subjects.HeaderCESpecVersion: subjects.CESpecVersion, subjects.HeaderCEID: id,
		subjects.HeaderCESource: subjects.CESource(exampleTenant), subjects.HeaderCEType: "cx.result." + string(subjects.MessageSend),
		subjects.HeaderCETime: exampleTime, subjects.HeaderCESubject: "42", subjects.HeaderContentType: subjects.ContentTypeJSON,
		subjects.HeaderTenant: exampleTenant, subjects.HeaderCommandID: exampleID, subjects.HeaderStatus: string(subjects.StatusDone),
		subjects.HeaderTraceparent: exampleTrace,
	}
	return message{
		name: name, title: title, about: "How a command ended.", carrier: carrier, payload: schemaRef("result"), headers: headers, body: exampleResult(),
	}
}

func exampleResult() object {
	return object{
		"command_id": exampleID, "command": subjects.MessageSend, "status": subjects.StatusDone, "reason": subjects.ReasonNone, "detail": "", "tenant": exampleTenant,
		"conversation_id": 42, "message_id": 9002, "contact_id": nil, "attempts": 1, "http_status": 200,
		"received_at": "2026-11-22T09:59:59.820Z", "finished_at": exampleTime, "response": object{"id": 9002},
	}
}

func deadCommandMessage(names subjects.Names) message {
	return message{
		name: "dead.command", title: "dead command", carrier: subjects.OnDeadCommands, contentType: "application/octet-stream",
		about:   "The command as it came, JSON or not, with its headers, those of NATS aside, and why it ended here.",
		payload: object{"description": "The body of the command as it came."},
		headers: object{
			subjects.HeaderMsgID: "dead-" + exampleID, subjects.HeaderCommandID: exampleID, subjects.HeaderStatus: string(subjects.StatusRefused),
			subjects.HeaderReason: string(subjects.ReasonNotFound), subjects.HeaderDetail: "404 Not Found", subjects.HeaderAttempts: "1",
			subjects.HeaderHistory:         `[{"time":"` + exampleTime + `","status":404,"reason":"not_found","detail":"404 Not Found"}]`,
			subjects.HeaderOriginalSubject: names.Command(subjects.MessageSend), subjects.HeaderFailedAt: exampleTime,
		},
		body: exampleCommand(subjects.MessageSend),
	}
}

func deadWebhookMessage() message {
	return message{
		name: "dead.webhook", title: "dead webhook", carrier: subjects.OnDeadWebhooks, contentType: "application/octet-stream",
		about: "A webhook's body as it came, JSON or not, and why it is no event.", payload: object{"description": "The body as it came."},
		headers: object{
			subjects.HeaderMsgID: "dead-" + subjects.EventID(exampleTenant, "malformed", "0b5a"), subjects.HeaderTenant: exampleTenant,
			subjects.HeaderReason: string(subjects.ReasonMalformed), subjects.HeaderDetail: "there is no event name",
			subjects.HeaderReceivedAt: exampleTime, subjects.HeaderFailedAt: exampleTime,
		},
		body: object{"id": 1},
	}
}

func requestMessage(k subjects.Kind) message {
	return message{
		name: "rpc.request." + string(k), title: string(k) + " as a request", about: does(k), carrier: subjects.OnRequests, payload: schemaRef("command." + string(k)),
		headers: object{subjects.HeaderMsgID: exampleID, subjects.HeaderTimeout: "10s"}, body: exampleCommand(k),
	}
}

func answerMessage() message {
	return message{
		name: "rpc.answer", title: "answer", about: "The result of the command.", carrier: subjects.OnAnswers, payload: schemaRef("result"),
		headers: object{subjects.HeaderCommandID: exampleID}, body: exampleResult(),
	}
}

func errorMessage() message {
	return message{
		name: "rpc.error", title: "error", about: "Why there is no answer, in the headers of NATS micro services; the body is empty.", carrier: subjects.OnErrors,
		headers: object{
			subjects.HeaderServiceErrorCode: "504", subjects.HeaderCommandID: exampleID,
			subjects.HeaderServiceError: "command " + exampleID + " is stored and will still be carried out",
		},
	}
}

func queryMessage() message {
	return message{name: "rpc.query", title: "query", about: "A query; the body is empty or an object.", carrier: subjects.OnRequests, headers: object{subjects.HeaderTimeout: "10s"}}
}

func foundMessage() message {
	return message{
		name: "rpc.found", title: "answer to a query", about: "What was asked for, as JSON.",
		payload: object{"description": "Depends on the query."}, body: []json.RawMessage{json.RawMessage(`{"id":5,"name":"Web"}`)},
	}
}
