//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

// chromium is one browser for all tests; each tab has cookies and storage of its own.
var chromium context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU)
	for _, name := range []string{"disable-quic", "disable-component-update"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	var end context.CancelFunc
	chromium, end = chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(flags...))
	defer end()
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintln(os.Stderr, "chromium does not start; see setup.sh:", err)
		return 1
	}
	return m.Run()
}

// tab is a page of one person.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the page did wrong
}

// newTab opens a window of that size for somebody whom the browser does not know yet.
func newTab(t *testing.T, width, height int64) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.note))
	t.Cleanup(cancel)
	b.ctx = ctx
	b.do(chromedp.EmulateViewport(width, height), chromedp.Func(watchLog), calm("light"))
	t.Cleanup(b.show)
	return b
}

func watchLog(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
	return err
}

// calm makes the page look the same on every machine, in the light or the dark scheme.
func calm(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	})
}

// note keeps exceptions, dialogs, and violations of the policy. Failed requests are part of the tests.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *page.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "dialog: "+e.Message)
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity || strings.Contains(e.Entry.Text, "Content Security Policy") || strings.Contains(e.Entry.Text, "Trusted") {
			b.problems = append(b.problems, "security: "+e.Entry.Text)
		}
	}
}

// show fails the test for what the page did wrong, and tells what it looked like when the test failed.
func (b *tab) show() {
	b.mu.Lock()
	problems := b.problems
	b.mu.Unlock()
	for _, p := range problems {
		b.t.Error(p)
	}
	if b.t.Failed() {
		if text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`)); err == nil {
			b.t.Logf("a page at the end: %s", text)
		}
	}
}

// do acts, and fails the test when that does not work in the end.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	within(b, func() (chromedp.Void, error) { return chromedp.Void{}, chromedp.Do(b.ctx, actions...) })
}

// within waits for something with patience. The first action of a tab binds its life to the context that it gets, so the context has no end of its own.
func within[T any](b *tab, act func() (T, error)) T {
	b.t.Helper()
	var value T
	done := make(chan error, 1)
	go func() {
		var err error
		value, err = act()
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			b.t.Fatal(err)
		}
	case <-time.After(natstest.Patience):
		b.t.Fatal("the browser does not get on")
	}
	return value
}

// ask returns what an expression in JavaScript is.
func ask[T any](b *tab, expression string, opts ...chromedp.EvaluateOption) T {
	b.t.Helper()
	return within(b, func() (T, error) { return chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, opts...)) })
}

func (b *tab) open(url string) { b.t.Helper(); b.do(chromedp.Navigate(url)) }

// until waits for a condition in JavaScript.
func (b *tab) until(condition string) {
	b.t.Helper()
	natstest.Eventually(b.t, condition, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, natstest.Patience/4)
		defer cancel()
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		return err == nil && holds // it fails, or is never answered, while another page is loading
	})
}

func (b *tab) never(condition string) {
	b.t.Helper()
	if ask[bool](b, "Boolean("+condition+")") {
		b.t.Errorf("it is so that %s", condition)
	}
}

func (b *tab) untilText(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("[...document.querySelectorAll(%s)].some((e) => e.checkVisibility() && e.textContent.includes(%s))", quote(selector), quote(text)))
}

func (b *tab) click(selector string) { b.t.Helper(); b.do(chromedp.Click(chromedp.CSS(selector))) }

func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// texts returns what the messages say, in order.
func (b *tab) texts() []string {
	b.t.Helper()
	return ask[[]string](b, `[...document.querySelectorAll("#messages .bubble")].map((e) => e.textContent)`)
}

func (b *tab) reload() { b.t.Helper(); b.do(chromedp.Reload()) }

func quote(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// violation is what axe-core finds.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	} `json:"nodes"`
}

// accessible fails the test for each violation that axe-core finds.
func (b *tab) accessible() {
	b.t.Helper()
	script, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatalf("axe-core is missing; see setup.sh: %v", err)
	}
	ask[int](b, string(script)+"; 0")
	found := ask[[]violation](b, `axe.run().then((r) => r.violations)`, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) })
	for _, v := range found {
		for _, n := range v.Nodes {
			b.t.Errorf("accessibility: %s: %s: %s: %s", v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// picture returns a PNG of what is seen.
func (b *tab) picture() []byte {
	b.t.Helper()
	return within(b, func() ([]byte, error) { return chromedp.Run(b.ctx, chromedp.CaptureScreenshot()) })
}
