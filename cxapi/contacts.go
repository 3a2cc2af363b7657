package cxapi

import (
	"context"
	"net/http"
)

// ContactParams is a contact to create.
type ContactParams struct {
	// InboxID is the inbox that the contact will write to.
	InboxID ID
	// Name, Email and PhoneNumber are the contact's; empty ones are left out. A phone number is written "+15550100".
	Name, Email, PhoneNumber string
}

// Contact is a contact that was created.
type Contact struct {
	Answer
	// ID is the contact's; zero if the answer did not tell.
	ID ID
}

// CreateContact makes a contact. It is not idempotent; an email or phone number that is taken is refused as
// [Error.AlreadyDone], without the id of the contact that has it.
//
// POST contacts/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) CreateContact(ctx context.Context, p ContactParams) (*Contact, error) {
	cl := call{method: http.MethodPost, path: "contacts/", body: struct {
		Tenant      string `json:"tenant_domain"`
		Name        string `json:"name,omitempty"`
		Email       string `json:"email,omitempty"`
		InboxID     ID     `json:"inbox_id"`
		PhoneNumber string `json:"phone_number,omitempty"`
	}{c.tenant, p.Name, p.Email, p.InboxID, p.PhoneNumber}}
	if p.InboxID.IsZero() {
		return nil, cl.malformed("the inbox id is missing")
	}
	answer, o, err := c.create(ctx, cl, resource{
		id:    func(o *object) ID { return o.ContactID.ID },
		named: func(o *object) subtree { return o.Contact },
	})
	if err != nil {
		return nil, err
	}
	contact := &Contact{Answer: answer}
	if o != nil {
		contact.ID = firstID(o.ID, o.ContactID)
	}
	return contact, nil
}
