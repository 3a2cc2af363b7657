package webhook

import (
	"fmt"
	"log/slog"
)

// gates decide who may send. They are exchanged as a whole, so that each request meets one configuration and not parts of two.
type gates struct {
	tokens     *pathTokens
	signatures *signatures
	networks   *networks
	mode       string // of signatures
}

func newGates(cfg Config, log *slog.Logger) (*gates, error) {
	tokens, err := newPathTokens(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("path tokens: %w", err)
	}
	signatures, err := newSignatures(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("signature secrets: %w", err)
	}
	networks, err := newNetworks(cfg)
	if err != nil {
		return nil, err
	}
	return &gates{tokens: tokens, signatures: signatures, networks: networks, mode: cfg.SignatureMode}, nil
}

// Admit prepares another decision of who may send: path tokens, signatures and networks as cfg, which must have passed its [Config.Check],
// has them. It holds for requests that begin after apply was called. An error says that nothing can change. The rest of cfg is not looked at.
func (r *Receiver) Admit(cfg Config) (apply func(), err error) {
	next, err := newGates(cfg, r.log)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return func() { r.gates.Store(next) }, nil
}
