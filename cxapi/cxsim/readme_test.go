package cxsim

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheREADMEIsTrue(t *testing.T) {
	text, err := os.ReadFile("README.md")
	must(t, err)
	s := start(t, Options{})
	hook := receive(t, nil)
	commands := regexp.MustCompile(`(?m)^curl -d '(.*)' -H 'Content-Type: application/json' HOST/_sim/(.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) != 4 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		body := strings.Replace(c[1], "http://127.0.0.1:8080/webhooks/TOKEN", hook.URL, 1)
		if a := at(t, s, "POST", c[2], body); a.status != 200 {
			t.Errorf("%s: %+v", c[0], a)
		}
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if a := at(t, s, "POST", "faults", blocks[0][1]); a.status != 204 {
		t.Errorf("the fault: %+v", a)
	}
	if _, err := ParseScenario([]byte(blocks[1][1])); err != nil {
		t.Error(err)
	}
	for _, effect := range append(requestEffects(), deliveryEffects()...) {
		if !strings.Contains(string(text), "`"+string(effect)+"`") {
			t.Errorf("the effect %s is not explained", effect)
		}
	}
	for _, p := range Profiles() {
		if !strings.Contains(string(text), "`"+string(p)+"`") {
			t.Errorf("the profile %s is not explained", p)
		}
	}
}
