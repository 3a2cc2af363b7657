// Package e2e runs the built binary as a process, beside a nats-server that is a process, too, and takes both away at bad moments: kills,
// freezes, cuts. A proxy that reads the protocol of NATS holds commands at named points of their lives until the bridge is killed. The tests
// stand behind the build tag e2e (make e2e); STORM=long makes the storms as long as the README says, RATE sets the commands a second of a storm
// of take-overs, and SYNC=default has a nats-server sync its files as it does by default.
package e2e
