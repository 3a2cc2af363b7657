package bridge

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
)

// TestAListIsCutToWhatAMessageTakes and nothing of it is lost, whatever a message takes.
func TestAListIsCutToWhatAMessageTakes(t *testing.T) {
	whole := Letters{Next: 77}
	for seq := range uint64(20) {
		whole.Letters = append(whole.Letters, deadletter.Summary{Sequence: seq + 1, Detail: strings.Repeat(`"`, int(seq)*50)}) // twice as long in JSON
	}
	encoded, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	for most := 0; most <= len(encoded)+frame; most += 64 {
		rest, told := whole, []uint64{}
		for {
			part, err := rest.within(int64(most))
			if err != nil {
				t.Fatal(err)
			}
			if body, err := json.Marshal(part); err != nil || len(body) > most && len(part.Letters) > 1 {
				t.Fatalf("%d letters of %d bytes in a message of %d, %v", len(part.Letters), len(body), most, err)
			}
			for _, letter := range part.Letters {
				told = append(told, letter.Sequence)
			}
			if part.Next == whole.Next {
				break
			}
			if part.Next != told[len(told)-1] {
				t.Fatalf("the next are those after %d, and %v were told", part.Next, told)
			}
			rest.Letters = whole.Letters[len(told):]
		}
		if len(told) != len(whole.Letters) {
			t.Fatalf("in messages of %d bytes: %v", most, told)
		}
	}
}
