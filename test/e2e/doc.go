// Package e2e runs the built binary as a process, beside a nats-server that is a process, too, and takes both away at bad moments: kills,
// freezes, cuts. Its tests stand behind the build tag e2e (make e2e); STORM=long makes the storms as long as the README says.
package e2e
