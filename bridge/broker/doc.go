// Package broker is the bridge's connection to NATS: to a server in this process or to servers elsewhere. It creates the
// streams and buckets that are missing and checks those that exist. See DESIGN.md for what it promises.
package broker
