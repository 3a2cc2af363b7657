//go:build alerts

package alerts

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// panel is what is needed to know of a panel of a dashboard.
type panel struct {
	Title       string `json:"title"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Targets     []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	var d struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, dashboard)), &d); err != nil {
		t.Fatal(err)
	}
	return d.Panels
}

// checkDashboard holds that each query of each panel returns something of the bridges that run.
func checkDashboard(t *testing.T, p *server) {
	t.Helper()
	variables := strings.NewReplacer("$__rate_interval", fmt.Sprintf("%ds", 15*p.pace), "$__range", "1m", "$job", ".+", "$instance", ".+")
	shown := 0
	for _, one := range panels(t) {
		if one.Type == "row" || one.Type == "text" {
			continue
		}
		if len(one.Targets) == 0 || one.Description == "" {
			t.Errorf("panel %q has no query, or does not say what it tells", one.Title)
		}
		for _, target := range one.Targets {
			shown++
			if found, err := wait(t, p, variables.Replace(target.Expr)); err != nil || len(found) == 0 {
				t.Errorf("panel %q is empty: %s: %v", one.Title, target.Expr, err)
			}
		}
	}
	t.Logf("%d queries of the dashboard return something", shown)
}

// wait asks until there is something.
func wait(t *testing.T, p *server, expression string) (found map[string]string, err error) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); pause(t) {
		if found, err = p.query(expression); err == nil && len(found) > 0 {
			return found, nil
		}
	}
	return found, err
}
