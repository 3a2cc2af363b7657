package webhook

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func (h *harness) id(t testing.TB, body string) string {
	t.Helper()
	e, err := h.paths.identify([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return h.eventID(&e, []byte(body))
}

func TestEventIDs(t *testing.T) {
	h := setup(t, nil)
	for body, want := range map[string]string{
		incoming:     tenant + ":message_created:9001",
		conversation: tenant + ":conversation_created:12",
		`{"event":"message_created","id":"9001","x":1}`: tenant + ":message_created:9001",
	} {
		if got := h.id(t, body); got != want {
			t.Errorf("id %q, want %q", got, want)
		}
	}
	other := h.id(t, `{"event":"contact_updated","id":7}`)
	if !strings.HasPrefix(other, tenant+":contact_updated:7:") || strings.Count(other, ":") != 3 {
		t.Errorf("id %q", other)
	}
	if nothing := h.id(t, `{"event":"message_created"}`); strings.Count(nothing, ":") != 2 {
		t.Errorf("id %q", nothing)
	}
}

func TestRepeatsHaveTheSameID(t *testing.T) {
	h := setup(t, nil)
	const body = `{"event":"conversation_updated","id":7,"status":"open","list":[1,{"a":2,"b":null}],"unread_count":1}`
	for _, same := range []string{
		`{"event":"conversation_updated","id":7,"status":"open","list":[1,{"a":2,"b":null}],"unread_count":2}`,
		`{"id":7,"list":[1,{"b":null,"a":2}],"event":"conversation_updated","status":"open"}`,
		" { \"id\" : 7 ,\n\"list\" : [ 1 , { \"b\" : null , \"a\" : 2 } ] , \"event\" : \"conversation_updated\" , \"status\" : \"open\" } ",
	} {
		if h.id(t, same) != h.id(t, body) {
			t.Errorf("%s has another id", same)
		}
	}
	for _, other := range []string{
		with(body, `"open"`, `"resolved"`), with(body, `[1,`, `[2,`), with(body, `"b":null`, `"b":0`), with(body, `"a":2`, `"c":2`),
		with(body, `[1,{"a":2,"b":null}]`, `[[1],{"a":2,"b":null}]`), with(body, `[1,{"a":2,"b":null}]`, `[1,{"a":2},{"b":null}]`),
		with(body, `"status":"open",`, ``), with(body, `"id":7`, `"id":"7"`),
	} {
		if h.id(t, other) == h.id(t, body) {
			t.Errorf("%s has the same id", other)
		}
	}
}

func TestTheHashOfADeepBodyIsQuick(t *testing.T) {
	h := setup(t, nil)
	const depth = 9000
	body := `{"event":"a_b","x":` + strings.Repeat(`[`, depth) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat(`]`, depth) + `}`
	if h.post(body).Code != 200 {
		t.Error("it was not taken")
	}
	h.only(t)
}

// The hash does not depend on how encoding/json writes a body, and depends on everything else.
func TestHashProperties(t *testing.T) {
	h := setup(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyJSON(3).Draw(t, "a"), anyJSON(3).Draw(t, "b")
		plainA, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		indented, err := json.MarshalIndent(a, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if h.hash(plainA) != h.hash(indented) {
			t.Fatalf("%s and its indented form differ", plainA)
		}
		plainB, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if (string(plainA) == string(plainB)) != (h.hash(plainA) == h.hash(plainB)) {
			t.Fatalf("%s and %s", plainA, plainB)
		}
	})
}

func anyJSON(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(v bool) any { return v }), rapid.Map(rapid.IntRange(0, 20), func(v int) any { return v }),
		rapid.Map(rapid.StringMatching(`[a-c"\\ ,:{}\[\]é]{0,4}`), func(v string) any { return v }))
	if depth == 0 {
		return scalar
	}
	return rapid.OneOf(scalar,
		rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 3), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-c"]{0,2}`), anyJSON(depth-1), 0, 3), func(v map[string]any) any { return v }))
}
