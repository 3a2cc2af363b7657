package cxsim

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// simulatorPage is the page of the simulator for authors of bots.
func simulatorPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/simulator.md")
	must(t, err)
	return string(text)
}

// TestTheCommandsOfThePageWork does what each curl of docs/simulator.md would do, in order.
func TestTheCommandsOfThePageWork(t *testing.T) {
	s := start(t, Options{})
	hook := receive(t, nil)
	lines := regexp.MustCompile(`(?m)^curl .*$`).FindAllString(simulatorPage(t), -1)
	if len(lines) < 10 {
		t.Fatalf("%d commands", len(lines))
	}
	form := regexp.MustCompile(`^curl (?:-X (\w+) )?'?127\.0\.0\.1:8090/_sim/([^ ']*)'?(?: -H 'Content-Type: application/json' -d '(.*)')?$`)
	for _, line := range lines {
		c := form.FindStringSubmatch(line)
		if c == nil {
			t.Errorf("not understood: %s", line)
			continue
		}
		method := c[1]
		if fallback(&method, "GET"); c[3] != "" {
			method = "POST"
		}
		body := strings.ReplaceAll(c[3], "http://127.0.0.1:8080/webhooks/a-secret-for-webhooks", hook.URL)
		if a := at(t, s, method, c[2], body); a.status != 200 && a.status != 204 {
			t.Errorf("%s: %+v", line, a)
		}
	}
	if c, err := s.Conversation(2); err != nil || c.Contact.Name != "Di" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestThePageTellsEverything(t *testing.T) {
	text := simulatorPage(t)
	story := regexp.MustCompile("(?s)<!-- story.json -->\n```json\n(.*?)```").FindStringSubmatch(text)
	if _, err := ParseScenario([]byte(story[1])); err != nil {
		t.Error(err)
	}
	var names []string
	for _, effect := range append(requestEffects(), deliveryEffects()...) {
		names = append(names, string(effect))
	}
	for _, p := range Profiles() {
		names = append(names, string(p))
	}
	for _, op := range []Operation{OpSendMessage, OpCreateConversation, OpDeliverToAgent, OpFinish, OpCreateContact, OpListInboxes,
		OpCreateWebhook, OpCreateBot, OpAssignBot, OpToken, OpDelivery} {
		names = append(names, string(op))
	}
	for _, name := range append(names, "pick-up", "say", "note", "return", "resolve", DefaultToken, DefaultTenant, DefaultClientID, DefaultClientSecret) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s is not explained", name)
		}
	}
}
