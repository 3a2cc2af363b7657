package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/subjects"
)

// TestTheExampleOfPermissionsIsEnoughForTheCommandLine runs each command line as the operator of deploy/nats, with the bridge as its user bridge and
// without one.
func TestTheExampleOfPermissionsIsEnoughForTheCommandLine(t *testing.T) {
	for user, variable := range map[string]string{"bridge": "CX_BRIDGE_PASSWORD", "bot": "CX_BOT_PASSWORD", "operator": "CX_OPERATOR_PASSWORD", "admin": "NATS_ADMIN_PASSWORD"} {
		t.Setenv(variable, "password-of-"+user)
	}
	b := startWholeBus(t, "cx", func(o *server.Options) {
		example, err := server.ProcessConfigFile("../../deploy/nats/nats-server.conf")
		if err != nil {
			t.Fatal(err)
		}
		o.Accounts, o.SystemAccount, o.NoAuthUser = example.Accounts, example.SystemAccount, "test"
		o.Users = example.Users
		at := slices.IndexFunc(example.Users, func(u *server.User) bool { return u.Username == "bridge" }) // they are in no order, and the admin has another account
		o.Users = append(o.Users, &server.User{Username: "test", Password: "test", Account: example.Users[at].Account})
	})
	refused := &refusals{}
	b.server.Server().SetLoggerV2(refused, false, false, false)
	asked := b.listen()
	b.runBridge(func(cfg *bridge.Config) {
		cfg.NATS.User, cfg.NATS.Password, cfg.NATS.InboxPrefix = "bridge", "password-of-bridge", "_INBOX.bridge"
	})
	t.Setenv("CXBRIDGE_NATS__PASSWORD", "password-of-operator")
	for _, way := range []string{"", "--direct"} {
		b.put(b.message("c1"+way, subjects.StatusRefused, subjects.ReasonNotFound), b.message("c2"+way, subjects.StatusRefused, subjects.ReasonNotFound), b.webhook())
		for _, line := range []string{
			"dead list", "dead show c1" + way, "explain c1" + way, "explain --conversation 42", "dead replay c1" + way + " --keep", "dead replay --status refused", "dead drop --all",
			"pause", "resume",
		} {
			args := append(strings.Fields(line), "--nats.user", "operator", "--nats.inbox_prefix", "_INBOX.operator")
			if way != "" {
				args = append(args, way)
			}
			if said, _ := b.runs(args...); !strings.HasPrefix(said, "exit status 0") && !strings.Contains(said, "conversation 42: nothing is known") {
				t.Errorf("%s %s: %s", line, way, said)
			}
			if heard := asked(); len(heard) == 0 != (way != "") {
				t.Errorf("%s %s asks %v", line, way, heard)
			}
		}
		b.expectLeft()
	}
	b.run(exitDone, "status", "--nats.user", "operator", "--nats.inbox_prefix", "_INBOX.operator")
	refused.mu.Lock()
	defer refused.mu.Unlock()
	if len(refused.all) > 0 {
		t.Errorf("refused: %q", refused.all)
	}
}

// refusals is a log of nats-server of which only what was refused is kept.
type refusals struct {
	mu  sync.Mutex
	all []string
}

func (r *refusals) Errorf(format string, values ...any) {
	if line := fmt.Sprintf(format, values...); strings.Contains(line, "Violation") {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, line)
	}
}

func (r *refusals) Noticef(string, ...any) {}
func (r *refusals) Warnf(string, ...any)   {}
func (r *refusals) Fatalf(string, ...any)  {}
func (r *refusals) Debugf(string, ...any)  {}
func (r *refusals) Tracef(string, ...any)  {}
