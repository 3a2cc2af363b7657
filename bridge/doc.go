// Package bridge is the process: it puts the components together, starts and stops them, and answers operators.
//
//	CX ──POST──► webhook ── publish ──────────────────────────► CX_EVENTS ──► bots
//	                └─ the bus is away ─► spool ─► drain ─┘
//	bots ──► CX_COMMANDS ──► command ── claim ─► call ─► settle ──► CX_RESULTS, CX_DEAD
//	                            │         │        └─► cxapi ──► CX
//	                          order     ledger
//
// Read in this order: config.go (what can be set) with load.go (where it comes from), bridge.go (what is started and stopped, and when),
// active.go (who carries out commands), live.go and reload.go (what can change while it runs), server.go and ready.go (what operators are told).
package bridge
