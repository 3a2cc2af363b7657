package bridge_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
)

const documentPath = "../docs/asyncapi.json"

// TestTheContractOfTheDefaultsIsTheOneInDocs ties the document that is checked in to the defaults of the configuration.
func TestTheContractOfTheDefaultsIsTheOneInDocs(t *testing.T) {
	document, err := bridge.DefaultConfig().Contract()
	if err != nil {
		t.Fatal(err)
	}
	checkedIn, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	if checkedIn = bytes.ReplaceAll(checkedIn, []byte("\r\n"), []byte("\n")); !bytes.Equal(document, checkedIn) {
		t.Errorf("%s is another one: run go generate ./subjects/asyncapi, or bring its settings in line with the defaults", documentPath)
	}
	wrong := bridge.DefaultConfig()
	wrong.Subjects.Prefix = "NO"
	if _, err := wrong.Contract(); err == nil {
		t.Error("a prefix that cannot be makes a document")
	}
}

func TestPlacementTagsReachTheStreams(t *testing.T) {
	cfg, err := load(t, enough+"[streams]\nplacement_tags = [\"region:eu\", \"disk:ssd\"]")
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.StreamSettings().PlacementTags; !slices.Equal(got, []string{"region:eu", "disk:ssd"}) {
		t.Errorf("tags = %q", got)
	}
}

// TestTheServiceHasTheEndpointsOfTheContract compares the document with what the service tells of itself.
func TestTheServiceHasTheEndpointsOfTheContract(t *testing.T) {
	_, cfg := simulate(t)
	b := start(t, cfg).waitReady()
	status, served := b.get("/asyncapi.json")
	document, err := cfg.Contract()
	if err != nil || status != http.StatusOK || served != string(document) {
		t.Errorf("/asyncapi.json = %d, %d bytes; want the %d of the configuration (%v)", status, len(served), len(document), err)
	}
	names, err := subjects.New(cfg.Subjects.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, q := range asyncapi.Queries() {
		want = append(want, names.RPCSubject(q))
	}
	for _, k := range subjects.Kinds() {
		want = append(want, names.RPC(k))
	}
	slices.Sort(want)
	if got := endpoints(t, connect(t, b.NATSURL()).Conn()); !slices.Equal(got, want) {
		t.Errorf("the service has %s\nthe contract has %s", strings.Join(got, " "), strings.Join(want, " "))
	}
}

// endpoints returns the subjects of the endpoints of the service.
func endpoints(t *testing.T, conn *nats.Conn) []string {
	t.Helper()
	answer, err := conn.Request("$SRV.INFO.cxbridge", nil, natstest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(answer.Data, &info); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range info.Endpoints {
		all = append(all, e.Subject)
	}
	slices.Sort(all)
	return all
}
