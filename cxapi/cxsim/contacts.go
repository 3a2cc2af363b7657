package cxsim

import (
	"net/mail"
	"strings"
)

func (t *Tenant) createContact(r *request, e *Entry) reply {
	var in *inbox
	if r.InboxID.set {
		if in = t.inbox(r.InboxID.n); in == nil {
			return *notFound()
		}
	}
	if refused := t.contactRules(r.Email, r.PhoneNumber); refused != nil {
		return *refused
	}
	c := t.addContact(r.Name, r.Email, r.PhoneNumber)
	e.ContactID = c.ID
	var l *contactInbox
	if in != nil {
		l = t.link(c, in, "") // a source id of its own, not the email: the platform makes one up
	}
	bare := t.restContact(c, l)
	wrapped := restContactCreated{Contact: bare}
	if l != nil {
		wrapped.ContactInbox.SourceID = &l.sourceID
		wrapped.ContactInbox.Inbox = &bare.ContactInboxes[0].Inbox
	}
	return t.created(map[string]any{"payload": wrapped}, bare)
}

// contactRules tells why there cannot be such a contact, nil if there can.
func (t *Tenant) contactRules(email, phone string) *reply {
	if _, err := mail.ParseAddress(email); email != "" && err != nil {
		return invalid("Invalid email", "email")
	}
	if phone != "" && !e164(phone) {
		return invalid("Phone number should be in e164 format", "phone_number")
	}
	if email != "" && t.byEmail[strings.ToLower(email)] != nil {
		return invalid("Email has already been taken", "email")
	}
	if phone != "" && t.byPhone[phone] != nil {
		return invalid("Phone number has already been taken", "phone_number")
	}
	return nil
}

// e164 tells whether a phone number is "+", a digit that is not zero, and up to fourteen more.
func e164(phone string) bool {
	digits, ok := strings.CutPrefix(phone, "+")
	return ok && len(digits) >= 2 && len(digits) <= 15 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

func (t *Tenant) restContact(c *Contact, l *contactInbox) restContact {
	r := restContact{
		metaContact: t.metaContact(c), AvailabilityStatus: "offline", CreatedAt: epoch(c.CreatedAt),
		ContactInboxes: []restContactInbox{},
	}
	if l != nil {
		r.ContactInboxes = append(r.ContactInboxes, restContactInbox{SourceID: l.sourceID, Inbox: restInbox{
			ID: t.number(l.inbox.id), Name: l.inbox.Name, ChannelID: t.number(l.inbox.id), ChannelType: l.inbox.Channel,
		}})
	}
	return r
}
