package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Variants of the bridge whose cost is compared.
const (
	variantOff    = "off"    // built without metrics, log and console: their functions return at once
	variantOn     = "on"     // as it is delivered, nothing traced
	variantTraced = "traced" // one of a hundred traces is sampled
)

// silenced are the functions that do nothing in variantOff: the file, below its package, what the method is of, the functions, and what they begin with.
var silenced = []struct{ pkg, file, receiver, functions, instead string }{
	{"github.com/prometheus/client_golang/prometheus", "counter.go", "counter", "Inc Add", "return"},
	{"github.com/prometheus/client_golang/prometheus", "gauge.go", "gauge", "Set Inc Dec Add Sub", "return"},
	{"github.com/prometheus/client_golang/prometheus", "histogram.go", "histogram", "Observe", "return"},
	{"github.com/cxbridge/cxbridge/bridge/telemetry", "log.go", "", "newHandler", "return slog.DiscardHandler"},
	{"github.com/cxbridge/cxbridge/bridge/console", "console.go", "Console", "Run", "<-ctx.Done(); return nil"},
}

// variant is a bridge of one kind, with a folder and a binary of its own.
type variant struct {
	*bench
	name string
}

// telemetry compares what an event and a command cost with everything that tells of them, and without.
func telemetry(ctx context.Context, b *bench) error {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a collector that loses everything is as good as any
	}))
	defer collector.Close()
	all, err := b.variants(ctx, collector.URL)
	if err != nil {
		return err
	}
	return errors.Join(costOfEvents(ctx, all), costOfCommands(ctx, all))
}

func (b *bench) variants(ctx context.Context, collector string) (all []variant, err error) {
	for _, name := range []string{variantOff, variantOn, variantTraced} {
		own := *b
		own.dir = filepath.Join(b.dir, name)
		if err := os.Mkdir(own.dir, 0o700); err != nil {
			return nil, err
		}
		switch name {
		case variantOff:
			if own.binary, err = own.buildSilent(ctx); err != nil {
				return nil, err
			}
		case variantTraced:
			own.env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}
		}
		all = append(all, variant{&own, name})
	}
	return all, nil
}

// buildSilent builds a bridge in which what is silenced returns at once: files of this module by an overlay, those of another one in a copy of it, as
// the cache of modules must not be overlaid.
func (b *bench) buildSilent(ctx context.Context) (string, error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	module, copied := filepath.Dir(strings.TrimSpace(output(ctx, "go", "env", "GOMOD"))), filepath.Join(b.dir, "module")
	from := strings.TrimSpace(output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", silencedModule))
	if err := os.CopyFS(copied, os.DirFS(from)); err != nil {
		return "", err
	}
	for i, s := range silenced {
		path := filepath.Join(strings.TrimSpace(output(ctx, "go", "list", "-f", "{{.Dir}}", s.pkg)), s.file)
		text, err := silence(path, s.receiver, strings.Fields(s.functions), s.instead)
		if err != nil {
			return "", err
		}
		own := filepath.Join(b.dir, fmt.Sprintf("%d-%s", i, s.file))
		if below, inside := strings.CutPrefix(path, from); inside {
			own = filepath.Join(copied, below)
			err = os.Remove(own)
		} else {
			overlay.Replace[path] = own
		}
		if err = errors.Join(err, os.WriteFile(own, text, 0o600)); err != nil {
			return "", err
		}
	}
	list, err1 := json.Marshal(overlay)
	mod, err2 := os.ReadFile(filepath.Join(module, "go.mod"))
	sum, err3 := os.ReadFile(filepath.Join(module, "go.sum"))
	file, binary := filepath.Join(b.dir, "overlay.json"), filepath.Join(b.dir, "cxbridge")
	mod = fmt.Appendf(mod, "\nreplace %s => %s\n", silencedModule, copied)
	if err := errors.Join(err1, err2, err3, os.WriteFile(file, list, 0o600), os.WriteFile(filepath.Join(b.dir, "silent.mod"), mod, 0o600),
		os.WriteFile(filepath.Join(b.dir, "silent.sum"), sum, 0o600)); err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-mod=mod", "-modfile", filepath.Join(b.dir, "silent.mod"), "-overlay", file, "-o", binary,
		"github.com/cxbridge/cxbridge/cmd/cxbridge")
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	return binary, build.Run()
}

// silencedModule is the module beside this one of which functions are silenced.
const silencedModule = "github.com/prometheus/client_golang"

// output is what a command says; empty if it fails, of which it tells on standard error.
func output(ctx context.Context, name string, args ...string) string {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// silence lets functions of a file begin with something that ends them. Each must be there, so that a name that changes is noticed.
func silence(path, receiver string, functions []string, instead string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	found := 0
	for _, d := range slices.Backward(file.Decls) { // so that places further up stay what they are
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || receiverOf(f) != receiver || !slices.Contains(functions, f.Name.Name) {
			continue
		}
		found++
		at := set.Position(f.Body.Lbrace).Offset + 1
		text = slices.Concat(text[:at], []byte("\nif true {\n"+instead+"\n}\n"), text[at:])
	}
	if found != len(functions) {
		return nil, fmt.Errorf("%s: %d of the functions %v of %q are there", path, found, functions, receiver)
	}
	return text, nil
}

func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name
	}
	return "?"
}

// costOfEvents takes webhooks at 64 connections.
func costOfEvents(ctx context.Context, variants []variant) (err error) {
	var all []*intake
	defer func() { err = errors.Join(err, stopAll(all)) }()
	for _, v := range variants {
		c := &contender{name: v.name}
		all = append(all, &intake{contender: c})
		if c.bus, err = v.startBus(ctx, v.newDir("nats"), v.lazySync); err != nil {
			return err
		}
		if err := c.bus.makeStreams(ctx); err != nil {
			return err
		}
		if c.program, c.address, err = v.startBridge(ctx, c.bus, "http://127.0.0.1:9/", 64); err != nil {
			return err
		}
	}
	const connections = 64
	rounds, length := or(variants[0].rounds, 8), or(variants[0].length, 1500*time.Millisecond)
	costs := map[string][]cost{}
	for round := range rounds {
		for _, c := range sideBySide(all, round) {
			s, err := variants[0].sample(ctx, c, connections, length)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			costs[c.name] = append(costs[c.name], cost{s.program, s.foreign})
		}
	}
	printCosts("an event", rounds, costs)
	return verify(ctx, all)
}

// costOfCommands carries out commands from a backlog, at an API that takes 20 ms, 64 at once.
func costOfCommands(ctx context.Context, variants []variant) error {
	first := variants[0]
	count, rounds, length := or(first.count, 20000), or(first.rounds, 8), or(first.length, 3*time.Second)
	template, err := first.prepare(ctx, count, or(first.conversations, 1000))
	if err != nil {
		return err
	}
	costs := map[string][]cost{}
	for round := range rounds {
		for _, v := range sideBySide(variants, round) {
			d, err := v.drain(ctx, contenderBridge, cell{20 * time.Millisecond, 64}, template, count, length)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			costs[v.name] = append(costs[v.name], cost{d.program, d.foreign})
		}
	}
	printCosts("a command", rounds, costs)
	return nil
}

// cost is CPU time of the bridge alone, in microseconds.
type cost struct{ cpu, foreign float64 }

func printCosts(what string, rounds int, costs map[string][]cost) {
	off := costs[variantOff]
	used := quiet(rounds, func(i int) float64 {
		return max(off[i].foreign, costs[variantOn][i].foreign, costs[variantTraced][i].foreign)
	})
	fmt.Printf("CPU of the bridge for %s, µs, %d of %d rounds used:", what, len(used), rounds)
	for _, name := range []string{variantOff, variantOn, variantTraced} {
		fmt.Printf("  %s %.1f", name, median(pick(used, func(i int) float64 { return costs[name][i].cpu })))
	}
	for _, name := range []string{variantOn, variantTraced} {
		fmt.Printf("  %s ÷ off %s", name, spread(pick(used, func(i int) float64 { return costs[name][i].cpu / off[i].cpu })))
	}
	fmt.Println()
}
