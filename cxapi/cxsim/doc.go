// Package cxsim is the Sangoma CX Digital Interactions API in this process: the API itself, its token server, its
// webhooks and agent bots, and the people on both sides of a conversation. Tests, the demo and bot authors talk to it
// in place of the vendor.
//
//	sim := cxsim.New(cxsim.Options{})
//	defer sim.Close()
//	base, err := sim.Start("")                      // http://127.0.0.1:port/cx/api/v1/digital-interactions/
//	sim.Subscribe("http://127.0.0.1:8080/webhooks/token")
//	conversation, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
//	message, err := sim.CustomerSays(conversation.ID, "is anybody there?")
//
// What the vendor documents is done as documented. What it does not document (the answers, the webhook bodies, the
// order and the number of deliveries) follows the Chatwoot formats whose vocabulary the API shares, and is switchable
// by [Options]. Everything that was asked of the simulator is in its [Journal]; every attempt to deliver an event is
// in [Sim.Deliveries]; failures are made by rule, see [Fault].
//
// Nothing here is random in the sense of unrepeatable: ids count up, and tokens, secrets, delivery ids and the
// decisions of faults with a probability come from [Options.Seed].
//
// All methods may be called from several goroutines.
package cxsim
