package deadletter

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSummaryShowsNothingOfTheOriginal(t *testing.T) {
	letter := Stored{Seq: 7, Letter: testLetter(testNames(t), "c1")}
	body, err := json.Marshal(letter.Summary())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "hello") || strings.Contains(string(body), "Traceparent") || !strings.Contains(string(body), `"sequence":7`) {
		t.Errorf("the summary is %s", body)
	}
}

func TestDocumentHasTheBodyAsItCame(t *testing.T) {
	letter := Stored{Letter: testLetter(testNames(t), "c1")}
	if d := letter.Document(true); d.Body == nil || *d.Body != string(letter.Original.Data) || d.Base64 != nil || d.Headers.Get("Traceparent") != "00-1" {
		t.Errorf("the document of a text is %+v", d)
	}
	if d := letter.Document(false); d.Body != nil || d.Base64 != nil || len(d.History) != 2 {
		t.Errorf("the document without body is %+v", d)
	}
	letter.Original.Data = []byte{0xff, 0}
	if d := letter.Document(true); d.Body != nil || string(d.Base64) != "\xff\x00" {
		t.Errorf("the document of bytes is %+v", d)
	}
}
