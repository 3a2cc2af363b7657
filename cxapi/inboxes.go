package cxapi

import (
	"context"
	"encoding/json"
	"net/http"
)

// Inbox is a place where conversations come in, such as a web chat.
type Inbox struct {
	// ID is the inbox's.
	ID ID
	// Name is what people call it.
	Name string
	// ChannelType is its kind as the platform writes it; empty if the answer did not tell.
	ChannelType string
	// Body is the inbox as it came.
	Body json.RawMessage
}

// ListInboxes returns the inboxes of the tenant.
//
// GET inboxes/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) ListInboxes(ctx context.Context) ([]Inbox, error) {
	cl := call{method: http.MethodGet, path: "inboxes/", repeatable: true}
	rep, err := c.do(ctx, cl)
	if err != nil {
		return nil, err
	}
	if rep.cut != nil {
		return nil, rep.unclear(cl, rep.cut)
	}
	inboxes, ok := findInboxes(rep.data, maxWrapping)
	if !ok {
		return nil, rep.unclear(cl, errNoList)
	}
	return inboxes, nil
}

// findInboxes reads a list that is bare or stands below inboxes, payload, data, result or results.
func findInboxes(raw []byte, depth int) ([]Inbox, bool) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		inboxes := make([]Inbox, 0, len(list))
		for _, item := range list {
			if o := readObject(item); o != nil && !firstID(o.ID, o.InboxID).IsZero() {
				inboxes = append(inboxes, Inbox{ID: firstID(o.ID, o.InboxID), Name: string(o.Name), ChannelType: string(o.ChannelType), Body: item})
			}
		}
		return inboxes, true
	}
	var o object
	if depth == 0 || json.Unmarshal(raw, &o) != nil {
		return nil, false
	}
	for _, inner := range []subtree{o.Inboxes, o.Payload, o.Data, o.Result, o.Results} {
		if inboxes, ok := findInboxes(inner, depth-1); ok {
			return inboxes, true
		}
	}
	return nil, false
}
