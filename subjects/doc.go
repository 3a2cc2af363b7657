// Package subjects is the wire contract of cxbridge: the subjects, headers, bodies and streams by which programs on NATS and the bridge
// understand each other. It holds plain data and pure functions, and imports nothing but the standard library, so that it is the first
// page to read for whoever writes a bot in Go.
//
// Read in this order: names.go (subjects and streams), headers.go, command.go with decode.go (what bots send), result.go (what they get
// back), event.go (what comes from Sangoma CX).
package subjects
