package cxapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// tokenCache keeps a token in a file that only its owner may read.
type tokenCache struct {
	path  string // empty: nothing is kept
	owner string // whose token it is
}

// cacheEntry is what the file holds.
type cacheEntry struct {
	Owner string `json:"owner"`
	bearer
}

// cacheOwner is a name for the credentials that a token belongs to, from which they cannot be learnt.
func cacheOwner(cfg ClientCredentialsConfig) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{cfg.TokenURL, cfg.ClientID, cfg.ClientSecret, strings.Join(cfg.Scopes, " ")}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// load returns the token in the file; the zero one if there is no file, if others may read it, or if it holds
// something else. A token that cannot be read is asked for again, so nothing is lost.
func (c tokenCache) load() bearer {
	if c.path == "" {
		return bearer{}
	}
	info, err := os.Stat(c.path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return bearer{}
	}
	content, err := os.ReadFile(c.path)
	if err != nil {
		return bearer{}
	}
	var entry cacheEntry
	if json.Unmarshal(content, &entry) != nil || entry.Owner != c.owner || checkToken(entry.Token) != nil {
		return bearer{}
	}
	return entry.bearer
}

// save writes the token to the file, whole or not at all.
func (c tokenCache) save(b bearer) error {
	if c.path == "" {
		return nil
	}
	content, err := json.Marshal(cacheEntry{Owner: c.owner, bearer: b})
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(c.path), ".cx-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), c.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
