// Package test holds what is true of the whole: the floors of the house, and the tests of the bridge from end to end.
package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/cxbridge/cxbridge"

// floors is the architecture: a package imports only packages of lower floors. Change it on purpose, with the reason in the commit.
var floors = map[string]int{
	"cmd/cxbridge": 5,
	"test":         5,

	"bridge": 4,

	"examples/widget/gateway": 4, // a package of its own, so that the demo serves the very gateway of the example; it needs only the contract

	"bridge/webhook": 3,
	"bridge/command": 3,
	"bridge/rpc":     3,
	"bridge/explain": 3,
	"bridge/console": 3,
	"bridge/drift":   3,

	"bridge/lease":           2,
	"bridge/ledger":          2,
	"bridge/deadletter":      2,
	"bridge/pause":           2,
	"bridge/broker":          2,
	"bridge/broker/natstest": 2, // real servers for tests
	"bridge/spool":           2,
	"cxapi/cxsim":            2,
	"subjects/schema":        2,
	"subjects/asyncapi":      3,

	"subjects":               1,
	"cxapi":                  1,
	"bridge/bound":           1,
	"bridge/lane":            1,
	"bridge/broker/embedded": 1, // a server in this process, for broker and spool
	"bridge/telemetry":       1,
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Name string
	Imports          []string
}

func TestImportsOnlyGoDown(t *testing.T) {
	for _, p := range packages(t) {
		own, ok := floorOf(p.ImportPath)
		if !ok {
			t.Errorf("%s has no floor: give it one in this file", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if below, ours := floorOf(imported); ours && below >= own {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports only go down", p.ImportPath, own, imported, below)
			}
		}
	}
}

// TestTheContractAndTheAPIClientStandAlone holds that integrators can use both packages without what the bridge needs.
func TestTheContractAndTheAPIClientStandAlone(t *testing.T) {
	allowed := map[string]string{"subjects": "", "cxapi": "golang.org/x/oauth2"}
	for _, p := range packages(t) {
		outside, ok := allowed[strings.TrimPrefix(p.ImportPath, module+"/")]
		if !ok {
			continue
		}
		for _, imported := range p.Imports {
			if strings.Contains(imported, ".") && (outside == "" || !strings.HasPrefix(imported, outside)) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// floorOf returns the floor of a package of this module; folders below test share its floor, one higher for what imports another of them.
func floorOf(path string) (int, bool) {
	name, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return 0, false
	}
	if floor, ok := floors[name]; ok {
		return floor, true
	}
	if strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "examples/") {
		return floors["test"], true
	}
	return 0, false
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Imports", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
