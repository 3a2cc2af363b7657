package main

import (
	"testing"
	"time"
)

func TestEmbeddedURLIsWhereOthersReachTheServer(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:4222": "nats://127.0.0.1:4222", "0.0.0.0:4223": "nats://127.0.0.1:4223", ":4224": "nats://127.0.0.1:4224", "[::]:4225": "nats://[::1]:4225",
		"10.1.2.3:4226": "nats://10.1.2.3:4226", "bus.example.test:4227": "nats://bus.example.test:4227", "": "", "127.0.0.1:0": "", "127.0.0.1": "",
	} {
		if got, err := embeddedURL(listen); got != want || (err == nil) != (want != "") {
			t.Errorf("embeddedURL(%q) = %q, %v; want %q", listen, got, err, want)
		}
	}
}

func TestAddressHasNoLogin(t *testing.T) {
	const want = "nats://a.test:1, tls://b.test:2"
	if got := address("nats://ann:s3cret@a.test:1, tls://t0ken@b.test:2"); got != want {
		t.Errorf("address = %q, want %q", got, want)
	}
}

func TestTextsOfOthersAreSafeForATerminal(t *testing.T) {
	if got, want := plain("a\x1b[31m\nü\x00 b"), "a\uFFFD[31m\uFFFDü\uFFFD b"; got != want {
		t.Errorf("plain = %q, want %q", got, want)
	}
	if got, want := lines("{\r\n\t\"a\": 1\x07\n}"), "{\n    \"a\": 1\uFFFD\n}"; got != want {
		t.Errorf("lines = %q, want %q", got, want)
	}
}

func TestAgesMayBeInDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, "7d": 168 * time.Hour, "0.5d": 12 * time.Hour, "d": 0, "-1d": 0, "0s": 0, "soon": 0} {
		var a age
		if err := a.Set(text); time.Duration(a) != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %s, %v; want %s", text, time.Duration(a), err, want)
		}
	}
}
