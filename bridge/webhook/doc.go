// Package webhook is the way in: it takes the webhooks of Sangoma CX, stores each one on the bus or, while the bus is away, in the local
// spool, and answers only then. DESIGN.md holds the promises and how they are kept.
//
// Read in this order: receiver.go (the steps of one request), verify.go and networks.go (who may send), identify.go (what it is),
// classify.go (who wrote it), eventid.go, message.go (what goes on the bus), publish.go (how it gets there), drain.go (out of the spool).
package webhook
