package bridge

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// headerRoom is added to the size of a webhook for the headers of its message.
const headerRoom = 64 << 10

// maxPayload is the size of the largest message that the bus must take.
func (c Config) maxPayload() int32 {
	return int32(min(c.Webhook.MaxBodyBytes+headerRoom, 64<<20))
}

// watchPayload returns what is to be told the limit of each server that is reached. It warns of one that takes less than webhooks may have, and
// again when the limit is another one.
func watchPayload(c Config, log *slog.Logger) func(maxPayload int64) {
	var last atomic.Int64
	return func(limit int64) {
		if last.Swap(limit) == limit || limit >= int64(c.maxPayload()) {
			return
		}
		log.Warn("webhooks that are larger than the bus takes will be answered 413: raise max_payload of nats-server to the size that is needed, or lower webhook.max_body_bytes",
			"key", "webhook.max_body_bytes", "max_body_bytes", c.Webhook.MaxBodyBytes, "max_payload", limit, "needed", c.maxPayload())
	}
}

// payloadRemark tells of a bus that takes less than webhooks may have; it is empty if there is nothing to tell.
func (c Config) payloadRemark(limit int64) string {
	if limit >= int64(c.maxPayload()) {
		return ""
	}
	remark := fmt.Sprintf("larger webhooks than it takes will be answered 413: its max_payload is %d and webhook.max_body_bytes %d; raise max_payload of nats-server to %d, as headers take room, too",
		limit, c.Webhook.MaxBodyBytes, c.maxPayload())
	if limit > headerRoom {
		remark += fmt.Sprintf(", or lower webhook.max_body_bytes to %d", limit-headerRoom)
	}
	return remark
}
