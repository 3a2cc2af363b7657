package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// history is all that is known of a run when it is over. The rules judge nothing else, so that a broken one can be written down by hand.
type history struct {
	Webhooks []webhook  // each event as it was offered to the bridges
	Events   []stored   // CX_EVENTS
	Sent     []sent     // each command as a bot published it
	Commands []stored   // CX_COMMANDS
	Results  []result   // CX_RESULTS
	Letters  []letter   // CX_DEAD
	Calls    []call     // the journal of the simulated API, in the order of being carried out
	Ledger   []entry    // CX_LEDGER, what is left of it
	Freezes  []freeze   // of bridges
	Deserted []string   // processes that ended although nobody asked them to
	Ready    []readying // what /readyz said at the end
	Waiting  []string   // what was outstanding when patience was over
}

// webhook is one event of the platform and what the sender was answered.
type webhook struct {
	Key          string // the same for the same event, see eventKey
	Conversation int64
	Body         string // hash of the body
	Sent         time.Time
	Answered     time.Time
	Status       int    // 0: no bridge took it
	Bridge       string // that answered
}

func (w webhook) accepted() bool { return w.Status == 200 }

// stored is a message of a stream.
type stored struct {
	Seq  uint64
	Time time.Time
	Key  string // of an event: eventKey; of a command: its id
	Body string // hash
}

// sent is a command.
type sent struct {
	ID           string
	Kind         string
	Lane         string // commands of one lane are carried out in the order of the stream
	Conversation int64  // of a handoff or a finish, which their calls do not name otherwise
}

// result is what the stream of results says of a command.
type result struct {
	ID     string
	Status string
	Reason string
	Seq    uint64
	Time   time.Time
}

// letter is a dead letter, of a command or (without an id) of a webhook.
type letter struct {
	ID     string
	Status string
	Body   string // hash
}

// call is a request that reached the API.
type call struct {
	Seq        int64
	Time       time.Time // of its arrival
	Op         string
	ID         string // of the command, as the body tells it; empty if it does not
	Conv       int64
	CarriedOut bool
}

// entry is a record of the ledger.
type entry struct {
	Seq   uint64
	Time  time.Time
	Key   string // the order key of the command
	Epoch uint64
	ID    string
}

// freeze is the time in which a bridge stood still.
type freeze struct {
	Bridge     string
	From, Till time.Time
}

// readying is the answer of a bridge's /readyz.
type readying struct {
	Bridge string
	Status int
	Body   string
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

// eventKey tells one event from another by what the platform says of it. A body that is not an event has its hash.
func eventKey(body []byte) (key string, conversation int64) {
	var e struct {
		Event        string `json:"event"`
		ID           int64  `json:"id"`
		Conversation struct {
			ID int64 `json:"id"`
		} `json:"conversation"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Event == "" {
		return "malformed/" + hash(body), 0
	}
	conversation = e.Conversation.ID
	if conversation == 0 {
		conversation = e.ID
	}
	return fmt.Sprintf("%s/%d", e.Event, e.ID), conversation
}

// markPattern finds the id of the command that a call belongs to: bots write it into each text.
var markPattern = regexp.MustCompile(`\[(k[0-9]+-[0-9]+)\]`)

func mark(id string) string { return "[" + id + "]" }

func marked(body string) string {
	if found := markPattern.FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}
