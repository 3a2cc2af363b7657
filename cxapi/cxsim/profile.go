package cxsim

import (
	"fmt"
	"strings"
)

// Profile is a version of the platform that the simulator imitates: what its events look like and how they are
// delivered.
type Profile string

// Profiles.
const (
	V313 Profile = "v3.13" // no signatures, no delivery ids, a bot that fails is left alone
	V47  Profile = "v4.7"  // a bot that fails loses the conversation to the agents
	V412 Profile = "v4.12" // signatures and delivery ids; 429 and 500 of a bot are retried
	V415 Profile = "v4.15" // bots are signed and told of status changes; the account is in the conversation
)

// Profiles lists all profiles, the oldest first.
func Profiles() []Profile { return []Profile{V313, V47, V412, V415} }

// ParseProfile finds a profile by its name. The error names those that there are.
func ParseProfile(name string) (Profile, error) {
	for _, p := range Profiles() {
		if string(p) == name {
			return p, nil
		}
	}
	return "", fmt.Errorf("profile %q: not one of %v", name, Profiles())
}

// features is what a profile means.
type features struct {
	typingEvents     bool // conversation_typing_on and _off can be subscribed to
	blocked          bool // contacts tell whether they are blocked
	updatedAt        bool // conversations have updated_at, a fraction of seconds
	assigneeType     bool
	accountInside    bool // conversations name their account
	keepsAttributes  bool // content_attributes of a posted message are kept
	deliveryID       bool
	signsWebhooks    bool
	signsBots        bool
	botFailureOpens  bool // pending becomes open when a message could not be given to the bot
	botRetries       bool // 429 and 500 of a bot are retried
	botStatusEvents  bool // bots get conversation_status_changed and conversation_updated
	trimsContent     bool // trailing white space of content is cut off in events
	stripsHardBreaks bool // "\" at the end of a line is cut off in events
}

func (p Profile) features() features {
	var f features
	if p == V313 {
		return f
	}
	f.typingEvents, f.blocked, f.updatedAt, f.botFailureOpens, f.trimsContent = true, true, true, true, true
	if p == V47 {
		return f
	}
	f.assigneeType, f.keepsAttributes, f.deliveryID, f.signsWebhooks, f.botRetries = true, true, true, true, true
	if p == V412 {
		return f
	}
	f.accountInside, f.signsBots, f.botStatusEvents, f.stripsHardBreaks = true, true, true, true
	return f
}

// shown is the content as events show it. It is why one's own messages are not to be known by their exact text.
func (f features) shown(content string) string {
	if f.stripsHardBreaks {
		content = strings.ReplaceAll(content, "\\\n", "\n")
	}
	if f.trimsContent {
		content = strings.TrimRight(content, " \r\n")
	}
	return content
}
