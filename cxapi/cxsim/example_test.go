package cxsim_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// A message is carried out, but its answer gets lost: the journal tells what the client cannot know.
func Example() {
	sim := cxsim.New(cxsim.Options{})
	defer sim.Close()
	base, err := sim.Start("")
	if err != nil {
		fmt.Println(err)
		return
	}
	conversation, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		fmt.Println(err)
		return
	}
	sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectLost, Status: 504, Times: 1})

	body := fmt.Sprintf(`{"tenant_domain":"acme.cx.sangoma.com","conversation_id":%d,"content":"hello"}`, conversation.ID)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base+"messages/", strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	request.Header.Set("Authorization", "Bearer "+cxsim.DefaultToken)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := answer.Body.Close(); err != nil {
			fmt.Println(err)
		}
	}()

	fmt.Println("the client sees", answer.StatusCode)
	for _, entry := range sim.Journal().Messages(conversation.ID) {
		fmt.Println("the customer sees", entry.Content)
	}
	// Output:
	// the client sees 504
	// the customer sees hello
}
