package bridge

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/cxbridge/cxbridge/cxapi"
)

// liveKeys are the keys, or the sections, that a running bridge takes over. What their files hold is read again, too.
var liveKeys = []string{
	"cx.access_token", "cx.access_token_file", "cx.rate_per_second", "cx.rate_burst", "cx.oauth",
	"webhook.path_tokens", "webhook.path_tokens_file", "webhook.allow_without_token",
	"webhook.signature_mode", "webhook.signature_secrets", "webhook.signature_secrets_file", "webhook.signature_header", "webhook.timestamp_header",
	"webhook.signature_tolerance", "webhook.allow_networks", "webhook.trusted_proxies", "webhook.forwarded_header",
	"admin.token", "admin.token_file", "log.level",
}

// isLive reports whether a key can change while the bridge runs.
func isLive(key string) bool {
	return slices.ContainsFunc(liveKeys, func(live string) bool {
		return key == live || len(key) > len(live) && key[:len(live)] == live && key[len(live)] == '.'
	})
}

// difference is what is to be done about another configuration.
type difference struct {
	merged  Config   // what runs, with the live keys of the other one
	live    []string // keys that differ and can change now
	restart []string // keys that differ and need a restart
}

// compare finds out which keys differ.
func compare(running, next Config) difference {
	d := difference{merged: running}
	s := schemaOf(reflect.TypeFor[Config]())
	was, is, merged := reflect.ValueOf(running), reflect.ValueOf(next), reflect.ValueOf(&d.merged).Elem()
	for _, key := range s.keys {
		at := s.leaves[key].index
		value := is.FieldByIndex(at)
		switch {
		case same(was.FieldByIndex(at), value):
		case isLive(key):
			merged.FieldByIndex(at).Set(value)
			d.live = append(d.live, key)
		default:
			d.restart = append(d.restart, key)
		}
	}
	return d
}

// same compares values of a key; no list and an empty one are the same.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// startSecrets are the secrets in files that are read at start and at each reload, and by nobody else.
type startSecrets struct{ admin, oauth string }

func (c Config) startSecrets() (s startSecrets, err error) {
	if s.admin, err = secret(c.Admin.Token, c.Admin.TokenFile); err != nil {
		return s, fmt.Errorf("admin.token_file: %w", err)
	}
	if s.oauth, err = secret(c.CX.OAuth.ClientSecret, c.CX.OAuth.ClientSecretFile); err != nil {
		return s, fmt.Errorf("cx.oauth.client_secret_file: %w", err)
	}
	return s, nil
}

// rotated returns the keys of files that are the same and hold something else.
func (s startSecrets) rotated(was startSecrets, c Config) (keys []string) {
	if c.Admin.TokenFile != "" && s.admin != was.admin {
		keys = append(keys, "admin.token_file")
	}
	if c.CX.OAuth.ClientSecretFile != "" && s.oauth != was.oauth {
		keys = append(keys, "cx.oauth.client_secret_file")
	}
	return keys
}

// exchangeable is a source of tokens that can become another one while calls are made.
type exchangeable struct {
	current atomic.Pointer[cxapi.TokenSource]
}

func newExchangeable(s cxapi.TokenSource) *exchangeable {
	e := &exchangeable{}
	e.current.Store(&s)
	return e
}

func (e *exchangeable) set(s cxapi.TokenSource) { e.current.Store(&s) }

// Token returns the token of the source that is the current one.
func (e *exchangeable) Token(ctx context.Context) (string, error) {
	return (*e.current.Load()).Token(ctx)
}

// Invalidate tells the current source. One that did not give the token takes no notice.
func (e *exchangeable) Invalidate(token string) { (*e.current.Load()).Invalidate(token) }
