// Package cxapi is a client of the Sangoma CX Digital Interactions API: one Go call is one API call.
//
// It knows nothing of queues, retries or the bus. What it does beyond sending JSON is to say what a failure means:
// every error is an [*Error] whose [Outcome] tells whether the call was certainly not carried out and may work later,
// was certainly not carried out and never will be, or may have been carried out. Posting a message is not idempotent
// and the API has no idempotency key, so a caller that repeats calls must look at nothing else.
//
// The only call that is ever made twice inside is one that was answered 401: the token is renewed once and the call
// repeated once. The calls for agent bots have an older path, which is tried after a 404. Redirects are not followed. All
// methods may be used by several goroutines at once.
//
// The vendor documents requests, but no answers. Answers are therefore read leniently: identifiers may be numbers or
// strings, objects may stand bare or below "payload", "data" or the name of the resource. DESIGN.md beside this file
// has the rules.
package cxapi
