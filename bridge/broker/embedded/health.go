package embedded

import (
	"errors"

	"github.com/nats-io/nats-server/v2/server"
)

// healthLooks is how often a server is looked at that does not seem well. The first thing that its health check asks is whether it could be connected to
// within a millisecond, which a machine that is short of time answers wrongly now and then.
const healthLooks = 5

// Health returns what a server says is wrong with it or with its files, nil if it is well.
func Health(running *server.Server) error {
	var wrong string
	for range healthLooks {
		if wrong = running.Healthz(&server.HealthzOptions{}).Error; wrong == "" {
			return nil
		}
	}
	return errors.New(wrong)
}
