package webhook

import (
	"fmt"
	"strings"
)

const incoming = `{"event":"message_created","id":9001,"content":"hi","content_type":"text","content_attributes":{},"additional_attributes":{},
 "message_type":"incoming","private":false,"source_id":null,"created_at":"2026-11-22T12:00:00.000Z",
 "account":{"id":3,"name":"acme"},"inbox":{"id":5,"name":"Web"},
 "sender":{"id":77,"name":"Ann","email":"ann@example.test","phone_number":null,"account":{"id":3,"name":"acme"}},
 "conversation":{"id":12,"inbox_id":5,"status":"pending","channel":"Channel::Api","can_reply":true,"labels":[],"priority":null,"unread_count":1,
   "contact_inbox":{"id":41,"contact_id":77,"inbox_id":5,"source_id":"ann@example.test","pubsub_token":"x"},
   "meta":{"sender":{"id":77,"name":"Ann","type":"contact"},"assignee":null,"team":null,"hmac_verified":false},
   "messages":[{"id":9001,"content":"hi","message_type":0,"conversation_id":12,"account_id":3,"inbox_id":5,"created_at":1726574400,
                "private":false,"status":"sent","sender_type":"Contact","sender_id":77}],
   "waiting_since":1726574400,"agent_last_seen_at":0,"contact_last_seen_at":0,"last_activity_at":1726574400,"timestamp":1726574400}}`

const conversation = `{"event":"conversation_created","id":12,"inbox_id":5,"status":"pending","messages":[],"unread_count":0,"timestamp":1726574400}`

// many is more than the number of messages of any conversation.
const many = 1000000

// botSays returns the event of a message of a bot.
func botSays(conversation, message int) string {
	return says(conversation, message, "outgoing", `{"id":2,"name":"My first bot","type":"agent_bot"}`)
}

func customerSays(conversation, message int) string {
	return says(conversation, message, "incoming", `{"id":77,"name":"Ann"}`)
}

func says(conversation, message int, kind, sender string) string {
	return fmt.Sprintf(`{"event":"message_created","id":%d,"content":"text %d","message_type":%q,"private":false,"inbox":{"id":5},"sender":%s,"conversation":{"id":%d}}`,
		message, message, kind, sender, conversation)
}

// with replaces a part of a body that must be there.
func with(body, old, new string) string {
	if !strings.Contains(body, old) {
		panic("the body does not contain " + old)
	}
	return strings.Replace(body, old, new, 1)
}
