package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cxbridge/cxbridge/bridge/command"
)

// Reloaded is what came of another configuration: keys, never values.
type Reloaded struct {
	Changed []string // in force from now on
	Restart []string // different, and in force only after a restart
}

// LevelSetter sets from where on lines are logged.
type LevelSetter interface{ Set(level string) error }

// Option is a choice of [New].
type Option func(*Bridge)

// WithLevel lets a reload set the level of the log. Without it, another log.level needs a restart.
func WithLevel(l LevelSetter) Option { return func(b *Bridge) { b.level = l } }

// reloading is what a reload needs to know of a bridge that runs.
type reloading struct {
	mu      sync.Mutex // one reload at a time, and none while a component is made of what may change
	inForce Config
	secrets startSecrets
	runner  *command.Runner // nil before there is one
}

// reload takes over from another configuration what can change while the bridge runs: all of it, or nothing if it returns an error. It calls
// tell when nothing can fail any more and, so that the line is read, while the log is not yet quieter.
func (p *process) reload(next Config, tell func(Reloaded)) error {
	p.live.mu.Lock()
	defer p.live.mu.Unlock()
	d := compare(p.live.inForce, next)
	if p.level == nil {
		d.merged.Log.Level = p.live.inForce.Log.Level
		d.live, d.restart = without(d.live, "log.level"), append(d.restart, within(d.live, "log.level")...)
	}
	if err := checked(d.merged); err != nil {
		return fmt.Errorf("what can change now does not go with what needs a restart: %w", err)
	}
	secrets, err := d.merged.startSecrets()
	if err != nil {
		return err
	}
	for _, key := range secrets.rotated(p.live.secrets, d.merged) {
		d.live = append(without(d.live, key), key)
	}
	apply, err := p.prepare(d.merged, d.live)
	if err != nil {
		return err
	}
	heard := p.log.Enabled(context.Background(), slog.LevelInfo)
	done := Reloaded{Changed: d.live, Restart: d.restart}
	if heard {
		tell(done)
	}
	for _, step := range apply {
		step()
	}
	p.operator.token.Store(&secrets.admin)
	p.live.inForce, p.live.secrets = d.merged, secrets
	if !heard {
		tell(done)
	}
	return nil
}

// prepare does everything that can fail, and returns what cannot. Only what changed is exchanged: what was learnt of a rate, and a token that
// was fetched, stay.
func (p *process) prepare(cfg Config, changed []string) (apply []func(), err error) {
	if p.level != nil && slices.Contains(changed, "log.level") {
		// The level was checked, so that setting it does not fail.
		apply = append(apply, func() { _ = p.level.Set(cfg.Log.Level) })
	}
	if p.tokens != nil && touches(changed, "cx.access_token", "cx.oauth.") {
		next, err := cfg.CX.tokens()
		if err != nil {
			return nil, err
		}
		apply = append(apply, func() { p.tokens.set(next) })
	}
	if touches(changed, "webhook.") {
		admit, err := p.receiver.Admit(cfg.Webhook)
		if err != nil {
			return nil, err
		}
		apply = append(apply, admit)
	}
	if p.live.runner != nil && touches(changed, "cx.rate_") {
		apply = append(apply, func() { p.live.runner.SetRate(cfg.CX.RatePerSecond, cfg.CX.RateBurst) })
	}
	return apply, nil
}

// touches reports whether one of the keys begins with one of the prefixes.
func touches(keys []string, prefixes ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
}

func without(keys []string, key string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == key })
}

func within(keys []string, key string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k != key })
}

// KeepCurrent reads the configuration again when it is asked to by again, and when the file or a secret that was read from one changes,
// until ctx ends. What can change while the bridge runs changes, all or nothing; a configuration with a mistake changes nothing. Each time
// one line of the log tells.
func (b *Bridge) KeepCurrent(ctx context.Context, from Sources, again <-chan os.Signal) {
	files := &fileWatch{paths: watched(from, b.cfg)}
	files.stamp, files.settled = files.look(), true
	select {
	case <-ctx.Done():
		return
	case <-b.built:
	}
	tick := time.NewTicker(fileLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			files.stamp, files.settled = files.look(), true
		case <-tick.C:
			if !files.changed() {
				continue
			}
		}
		b.readAgain(from)
		if paths := watched(from, b.running.inForce()); !slices.Equal(paths, files.paths) {
			files.paths = paths
			files.stamp = files.look()
		}
	}
}

func (p *process) inForce() Config {
	p.live.mu.Lock()
	defer p.live.mu.Unlock()
	return p.live.inForce
}

func (b *Bridge) readAgain(from Sources) {
	next, err := LoadConfig(from)
	if err == nil {
		err = b.running.reload(next, b.tellReloaded)
	}
	if err != nil {
		b.log.Error("the configuration cannot be used; the former one stays in force", "error", err)
	}
}

func (b *Bridge) tellReloaded(done Reloaded) {
	tell := b.log.Info
	if len(done.Restart) > 0 {
		tell = b.log.Warn
	}
	tell("the configuration was read again", "changed", strings.Join(done.Changed, " "), "needs_restart", strings.Join(done.Restart, " "))
}

// watched are the files whose change is looked for here. The other files of secrets are looked at by those who use them.
func watched(from Sources, cfg Config) []string {
	var paths []string
	for _, path := range []string{from.File, cfg.Admin.TokenFile, cfg.CX.OAuth.ClientSecretFile} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// fileLook is how often files are looked at. A change counts when it was seen twice, because a file may be half written at first.
const fileLook = time.Second

// fileWatch tells when a file has changed.
type fileWatch struct {
	paths   []string
	stamp   string // what was seen last
	settled bool   // it was seen twice, or read
}

func (w *fileWatch) changed() bool {
	found := w.look()
	if found != w.stamp {
		w.stamp, w.settled = found, false
		return false
	}
	fresh := !w.settled
	w.settled = true
	return fresh
}

// look describes one state of the files. A link that leads elsewhere, as Kubernetes exchanges them, is another state.
func (w *fileWatch) look() string {
	var b strings.Builder
	for _, path := range w.paths {
		b.WriteString(path + "\x00")
		if info, err := os.Stat(path); err == nil {
			b.WriteString(info.ModTime().UTC().Format(time.RFC3339Nano) + strconv.FormatInt(info.Size(), 10))
		}
		b.WriteString("\x00")
	}
	return b.String()
}
