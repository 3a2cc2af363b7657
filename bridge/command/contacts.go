package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Contacts remembers the ids of contacts, because the API has no way to look one up.
type Contacts interface {
	// Find returns the id of the contact with an address, an email or a phone number; a zero id if it is not known.
	Find(ctx context.Context, address string) (subjects.ID, error)
	// Remember stores the id of the contact with an address.
	Remember(ctx context.Context, address string, id subjects.ID) error
}

// KVContacts is a directory of contacts in a key-value bucket. Keys are hashes, so that the addresses of customers cannot be listed.
type KVContacts struct {
	kv     jetstream.KeyValue
	tenant string
}

// NewKVContacts returns the directory of the contacts of a tenant in a bucket.
func NewKVContacts(kv jetstream.KeyValue, tenant string) *KVContacts {
	return &KVContacts{kv: kv, tenant: tenant}
}

type contactRecord struct {
	ContactID subjects.ID `json:"contact_id"`
}

// key ignores the case of an email, because the vendor does.
func (c *KVContacts) key(address string) string {
	sum := sha256.Sum256([]byte(c.tenant + "\n" + strings.ToLower(address)))
	return hex.EncodeToString(sum[:])
}

// Find implements [Contacts].
func (c *KVContacts) Find(ctx context.Context, address string) (subjects.ID, error) {
	entry, err := c.kv.Get(ctx, c.key(address))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return subjects.ID{}, nil
	}
	if err != nil {
		return subjects.ID{}, fmt.Errorf("find contact: %w", err)
	}
	var record contactRecord
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		return subjects.ID{}, fmt.Errorf("find contact: %w", err)
	}
	return record.ContactID, nil
}

// Remember implements [Contacts].
func (c *KVContacts) Remember(ctx context.Context, address string, id subjects.ID) error {
	body, err := json.Marshal(contactRecord{ContactID: id})
	if err != nil {
		return fmt.Errorf("remember contact: %w", err)
	}
	if _, err := c.kv.Put(ctx, c.key(address), body); err != nil {
		return fmt.Errorf("remember contact: %w", err)
	}
	return nil
}
