//go:build alerts

package alerts

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

const configuration = `
global: {scrape_interval: %[1]ds, scrape_timeout: %[1]ds, evaluation_interval: %[1]ds}
rule_files: [%[2]q]
scrape_configs:
  - job_name: cxbridge
    file_sd_configs: [{files: [%[3]q], refresh_interval: 1s}]
`

// server is a Prometheus that runs.
type server struct {
	t       *testing.T
	url     string
	pace    int    // seconds between two scrapes, and seconds that stand for a minute
	targets string // file
}

// startPrometheus starts a Prometheus with the quickened rules, which ends with the test. It looks every pace seconds, and reads no metrics before [server.watch] tells it to.
func startPrometheus(t *testing.T, pace int) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{t: t, pace: pace, targets: filepath.Join(dir, "targets.json")}
	s.watch(nil)
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, pace, quickened(t, pace), s.targets), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("%v (make alerts builds it)", err)
	}
	s.url = "http://" + listens(t, cmd, stderr)
	return s
}

// listens follows what a Prometheus logs, ends it with the test, and returns where it listens.
func listens(t *testing.T, cmd *exec.Cmd, stderr io.Reader) string {
	t.Helper()
	ended, address := make(chan struct{}), make(chan string, 1)
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		_ = cmd.Wait() // it was killed
	})
	go func() {
		defer close(ended)
		listening := regexp.MustCompile(`Listening on.*address=(127\.0\.0\.1:\d+)`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if found := listening.FindStringSubmatch(lines.Text()); found != nil && len(address) == 0 {
				address <- found[1]
			}
		}
	}()
	select {
	case found := <-address:
		return found
	case <-ended:
		t.Fatal("prometheus ended")
	case <-time.After(natstest.Patience):
		t.Fatal("prometheus does not start")
	}
	return ""
}

// watch has the metrics of addresses read, by job.
func (s *server) watch(jobs map[string][]string) {
	s.t.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for job, addresses := range jobs {
		groups = append(groups, group{addresses, map[string]string{"job": "cxbridge-" + job}})
	}
	text, err := json.Marshal(groups)
	if err == nil {
		if err = os.WriteFile(s.targets+".new", text, 0o600); err == nil {
			err = os.Rename(s.targets+".new", s.targets)
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// ask makes a request of the API of Prometheus. An answer that does not come is no failure of the test: the caller asks again.
func (s *server) ask(path string, into any) error {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, res.StatusCode, body)
	}
	return json.Unmarshal(body, into)
}

// alert is one that is pending or firing.
type alert struct {
	Labels map[string]string `json:"labels"`
	State  string            `json:"state"`
	Value  string            `json:"value"`
}

func (s *server) alerts() ([]alert, error) {
	var answer struct {
		Data struct {
			Alerts []alert `json:"alerts"`
		} `json:"data"`
	}
	err := s.ask("/api/v1/alerts", &answer)
	return answer.Data.Alerts, err
}

// query returns the values of an expression by their labels, as text.
func (s *server) query(expression string) (map[string]string, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := s.ask("/api/v1/query?query="+url.QueryEscape(expression), &answer); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, r := range answer.Data.Result {
		found[fmt.Sprint(r.Metric)] = fmt.Sprint(r.Value[1])
	}
	return found, nil
}
