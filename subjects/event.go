package subjects

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Names of events of the vendor that the bridge itself reads.
const (
	EventMessageCreated      = "message_created"
	EventConversationCreated = "conversation_created"
)

// EventID returns the stable id of an event, the same for each repeat of it: the tenant, the event's name and what tells it from others of
// that name. Parts that are empty are left out. For message_created the part is the message id, for conversation_created the conversation
// id, for other events the object's id and a hash of the body, and for a body without anything usable just the hash.
func EventID(tenant, name string, parts ...string) string {
	var memory [8]string
	all := append(memory[:0], tenant, name)
	for _, p := range parts {
		if p != "" {
			all = append(all, p)
		}
	}
	id := strings.Join(all, ":")
	if len(id) <= 200 && printable(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "~" + hex.EncodeToString(sum[:])
}

// printable reports whether an id can stand in a header without being encoded.
func printable(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f || id[i] == '"' || id[i] == '%' {
			return false
		}
	}
	return true
}

// CloudEvents attributes that do not depend on the message.
const (
	CESpecVersion   = "1.0"
	ContentTypeJSON = "application/json"
)

// CESource returns the CloudEvents source of everything that concerns a tenant.
func CESource(tenant string) string { return "//" + tenant }
