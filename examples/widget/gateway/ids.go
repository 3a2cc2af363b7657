package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Commands of the gateway have ids of the form widget-<visitor>-<part>, where the part is partStart or the id that the page gave a message.
const (
	commandPrefix = "widget"
	partStart     = "start"
)

// visitorOf makes the id by which the bus knows a visitor out of the secret in the cookie, which is never told to the bus.
func visitorOf(token string) string {
	sum := sha256.Sum256([]byte("cxbridge widget " + token))
	return hex.EncodeToString(sum[:16])
}

func commandID(visitor, part string) string { return commandPrefix + "-" + visitor + "-" + part }

func parseCommandID(id string) (visitor, part string, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 || parts[0] != commandPrefix || len(parts[1]) != 32 || parts[2] == "" {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// madeByPage reports whether a message's id has the form that the page gives it.
func madeByPage(id string) bool {
	return len(id) == 16 && strings.Trim(id, "0123456789abcdef") == ""
}

// isToken reports whether a cookie's value has the form of newToken.
func isToken(s string) bool {
	return len(s) == 26 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
