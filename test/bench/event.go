package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	eventBytes    = 1536
	firstID       = 1_000_000_000 // so that all have as many digits
	messageMark   = "MMMMMMMMMM"
	conversations = "CCCCCCCCCC"
	signatureMark = "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"
)

// eventTemplate is a message_created webhook as the vendor lays it out, with marks where the ids go.
const eventTemplate = `{"event":"message_created","id":` + messageMark + `,"content":"%s","content_type":"text","content_attributes":{},` +
	`"message_type":"incoming","private":false,"created_at":"2026-11-22T10:00:00.000Z","source_id":null,"account":{"id":3,"name":"acme"},` +
	`"additional_attributes":{},"inbox":{"id":5,"name":"Web"},"sender":{"id":77,"name":"Ann Example","email":"ann@example.test","phone_number":null,` +
	`"identifier":null,"avatar":"","thumbnail":"","custom_attributes":{"plan":"gold"},"additional_attributes":{"city":"Berlin","country":"Germany"},` +
	`"account":{"id":3,"name":"acme"}},"conversation":{"id":` + conversations + `,"inbox_id":5,"status":"pending","channel":"Channel::WebWidget",` +
	`"can_reply":true,"unread_count":2,"priority":null,"labels":["vip","web"],"first_reply_created_at":null,"waiting_since":1763805600,` +
	`"agent_last_seen_at":0,"contact_last_seen_at":1763805600,"timestamp":1763805600,"created_at":1763805000,"snoozed_until":null,` +
	`"contact_inbox":{"id":9,"contact_id":77,"inbox_id":5,"source_id":"0c6c2a9e-7d5e-4a57-9a3a-2a1f4f5d6e7f","hmac_verified":false},` +
	`"meta":{"sender":{"id":77,"name":"Ann Example","type":"contact"},"assignee":null,"team":null},"custom_attributes":{},"additional_attributes":{}}}`

// request is a webhook request whose ids are written in place, so that making one costs the load next to nothing.
type request struct {
	bytes                  []byte
	message, of, signature int // where they stand
	body                   int
	signed                 bool
	timestamp              string
}

func newRequest(signed bool) *request {
	text := fmt.Sprintf(eventTemplate, "")
	body := fmt.Sprintf(eventTemplate, strings.Repeat("hello ", max(0, eventBytes-len(text))/6))
	r := &request{signed: signed, timestamp: strconv.FormatInt(time.Now().Unix(), 10)}
	head := "POST /webhooks/" + pathToken + " HTTP/1.1\r\nHost: bench.example.test\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n"
	if signed {
		head += "X-Chatwoot-Timestamp: " + r.timestamp + "\r\nX-Chatwoot-Signature: sha256=" + signatureMark + "\r\n"
	}
	whole := head + "\r\n" + body
	r.bytes, r.body = []byte(whole), len(head)+2
	r.message, r.of = strings.Index(whole, messageMark), strings.Index(whole, conversations)
	r.signature = strings.Index(whole, signatureMark)
	return r
}

// fill writes the ids of the next event.
func (r *request) fill(message, conversation int64) {
	strconv.AppendInt(r.bytes[r.message:r.message], firstID+message, 10)
	strconv.AppendInt(r.bytes[r.of:r.of], firstID+conversation, 10)
	if r.signed {
		hex.Encode(r.bytes[r.signature:], sign(r.timestamp, r.bytes[r.body:]))
	}
}

// sign is the signature scheme of the contract.
func sign(timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(hmacKey))
	h.Write([]byte(timestamp))
	h.Write([]byte("."))
	h.Write(body)
	return h.Sum(nil)
}
