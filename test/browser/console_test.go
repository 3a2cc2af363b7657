//go:build browser

package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
)

// post is a bridge, a simulated CX and a bus, as an operator finds them.
type post struct {
	*house
	url   string
	names subjects.Names
	chats []int64 // ids of conversations
}

func newPost(t *testing.T, change func(*bridge.Config)) *post {
	t.Helper()
	p := &post{house: &house{t: t, bus: natstest.Start(t), sim: cxsim.New(cxsim.Options{WebhookAttempts: -1, RetryWait: 50 * time.Millisecond})}}
	t.Cleanup(p.sim.Close)
	base, err := p.sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	b := p.bridge(base, func(cfg *bridge.Config) {
		cfg.Commands.RetryInitial, cfg.Commands.RetryMax, cfg.Commands.RetryFor = 50*time.Millisecond, time.Second, time.Hour
		cfg.Commands.EchoWait = time.Second
		cfg.CX.RatePerSecond = 0
		if change != nil {
			change(cfg)
		}
	})
	p.url = "http://" + b.AdminAddr().String()
	p.sim.Subscribe("http://"+b.WebhookAddr().String()+"/webhooks/"+pathToken, "conversation_created", "message_created")
	if p.names, err = subjects.New(subjects.DefaultPrefix); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		c, err := p.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: fmt.Sprintf("ann-%d@example.test", i), Text: "Where is my parcel?"})
		if err != nil {
			t.Fatal(err)
		}
		p.chats = append(p.chats, c.ID)
	}
	return p
}

// send publishes a command to each of some conversations.
func (p *post) send(id string, chats ...int64) {
	p.t.Helper()
	js := p.bus.JetStream(p.t)
	for _, chat := range chats {
		m := &nats.Msg{
			Subject: p.names.Command(subjects.MessageSend), Header: nats.Header{subjects.HeaderMsgID: {id + "-" + strconv.FormatInt(chat, 10)}},
			Data: fmt.Appendf(nil, `{"conversation_id":%d,"content":"It is on its way."}`, chat),
		}
		if _, err := js.PublishMsg(p.t.Context(), m); err != nil {
			p.t.Fatal(err)
		}
	}
}

// open opens the console in a window.
func (p *post) open(width, height int64, scheme string) *tab {
	p.t.Helper()
	b := newTab(p.t, width, height)
	b.do(calm(scheme))
	b.open(p.url + "/")
	b.untilText("#connection", "live")
	b.until(`document.querySelector("#verdict strong").textContent !== "Looking…" && document.querySelector("#streams li")`)
	return b
}

// fine holds what must be so in every state: it fits, and everybody can use it.
func (b *tab) fine(width int) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.documentElement.scrollWidth <= %d`, width))
	b.never(`[...document.querySelectorAll("button, input:not([type=checkbox]), select")].some((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24)`)
	b.accessible()
}

// drawn lets some minutes of life pass, with pictures only, so that the charts show something.
func (p *post) drawn() {
	p.t.Helper()
	if os.Getenv("SCREENSHOTS") == "" {
		return
	}
	end := time.NewTimer(100 * time.Second)
	defer end.Stop()
	for n := 0; ; n++ {
		select {
		case <-end.C:
			return
		case <-time.After(time.Duration(150+(n*37)%400) * time.Millisecond):
			chat := p.chats[2+n%6]
			if _, err := p.sim.CustomerSays(chat, "Where is it?"); err != nil {
				p.t.Fatal(err)
			}
			p.send("life-"+strconv.Itoa(n), chat)
		}
	}
}

// shot keeps a picture for docs/ in the folder that SCREENSHOTS names.
func (b *tab) shot(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("..", "..", folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), b.picture(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// press types keys to whatever has the focus.
func (b *tab) press(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

// tabTo moves the focus with the keyboard alone until a condition about document.activeElement holds.
func (b *tab) tabTo(condition string) {
	b.t.Helper()
	for range 200 {
		if ask[bool](b, "Boolean("+condition+")") {
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("the keyboard does not reach %s", condition)
}

func TestTheConsoleTellsWhatFlows(t *testing.T) {
	p := newPost(t, nil)
	light, dark, phone := p.open(1280, 1600, "light"), p.open(1280, 1600, "dark"), p.open(360, 780, "dark")
	p.send("hello", p.chats...)
	for _, b := range []*tab{light, dark, phone} {
		b.untilText("#tenant", cxsim.DefaultTenant)
		b.untilText("#tiles dd", "carried out here")
		b.untilText(".verdict", "Ready")
		b.untilText("#rows li.event", "cx.message.created")
		b.untilText("#rows li.result", "done")
		b.untilText("#streams li", "CX_EVENTS")
		b.until(`[...document.querySelectorAll("#charts figure")].length === 6`)
		b.never(`document.body.textContent.includes("parcel") || document.body.textContent.includes("example.test") || document.body.textContent.includes("on its way")`)
	}
	light.fine(1280)
	dark.fine(1280)
	phone.fine(360)

	// The filter.
	light.write("#f-subject", "cx.result.>")
	light.until(`!document.querySelector("#rows li.event") && document.querySelector("#rows li.result")`)
	light.write("#f-conversation", strconv.FormatInt(p.chats[0], 10))
	light.until(`document.querySelectorAll("#rows li.result").length === 1`)
	light.untilText("#sample", "filtered")

	// A conversation's story, from the first event to the result.
	light.click("#rows li.result .link")
	light.untilText("#story-body", "written by customer")
	light.untilText("#story-body", "result published: done")
	light.never(`document.querySelector("#story-body").textContent.includes("parcel")`)
	light.fine(1280)
	light.shot("console-story")
	light.press(kb.Escape)
	light.until(`!document.querySelector("#story").open`)

	// The configuration, without secrets.
	light.click("#config summary")
	light.untilText("#keys dt", "cx.tenant_domain")
	light.click("#config-all")
	light.untilText("#keys dt", "commands.max_pending")
	light.never(`document.body.textContent.includes("` + pathToken + `") || document.body.textContent.includes("` + cxsim.DefaultToken + `")`)
	light.fine(1280)
}

func TestTheConsoleTellsOfAFailingAPI(t *testing.T) {
	p := newPost(t, nil)
	light, dark, phone := p.open(1280, 1600, "light"), p.open(1280, 1600, "dark"), p.open(360, 780, "light")
	p.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: 503})
	p.send("first", p.chats...)
	p.send("second", p.chats...)
	for i, b := range []*tab{light, dark, phone} {
		b.untilText(".verdict", "Ready, but")
		b.untilText("#verdict li", "the API fails")
		b.until(`document.querySelectorAll("#lanes button").length === 8`)
		b.untilText("#lanes li", "2 commands")
		b.until(`[...document.querySelectorAll("#charts figure")].some((f) => f.textContent.includes("failed") && !f.textContent.includes("0 failed") && !f.textContent.includes("– failed"))`)
		b.fine([]int{1280, 1280, 360}[i])
	}
	light.shot("console-failing")
	phone.shot("console-phone")
	// Commands are paused by an operator who gives a reason, and go on when the API is back.
	light.click("#pause")
	light.write("#reason", "the API is down")
	light.fine(1280)
	light.click("#question-yes")
	light.untilText("#verdict li", "the API is down")
	dark.untilText("#pause", "Resume")
	p.sim.ClearFaults()
	dark.click("#pause")
	dark.click("#question-yes")
	for _, b := range []*tab{light, dark, phone} {
		b.untilText("#lanes li", "Nothing waits.")
		b.until(`document.querySelector(".verdict.good")`)
	}
	js := p.bus.JetStream(t)
	natstest.Eventually(t, "a result of each command", func() bool {
		stream, err := js.Stream(t.Context(), p.names.ResultsStream())
		return err == nil && stream.CachedInfo().State.Msgs == 16
	})
}

func TestAParkedCommandIsReplayedFromTheConsole(t *testing.T) {
	p := newPost(t, nil)
	// A 500 that nobody knows the outcome of, and a refusal.
	p.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: p.chats[0], Effect: cxsim.EffectStatus, Status: 500, Times: 1})
	p.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: p.chats[1], Effect: cxsim.EffectStatus, Status: 403, Times: 1})
	light, dark, phone := p.open(1280, 1600, "light"), p.open(1280, 1600, "dark"), p.open(360, 780, "dark")
	p.send("parked", p.chats[0])
	p.send("refused", p.chats[1])
	for i, b := range []*tab{light, dark, phone} {
		b.untilText("#letters li.unknown", "outcome_unknown")
		b.untilText("#letters li", "forbidden")
		b.untilText("#letters-note", "2 dead letters, 1 with an unknown outcome")
		b.fine([]int{1280, 1280, 360}[i])
	}
	p.drawn()
	light.shot("console-light")
	dark.shot("console-dark")

	// Why, and each attempt; the body only when it is asked for.
	phone.click("#letters li.unknown button")
	phone.untilText("#letter-body", "answered 500")
	phone.never(`document.body.textContent.includes("on its way")`)
	phone.fine(360)
	phone.click("#letter-content")
	phone.untilText("#letter-body pre", "It is on its way.")
	phone.fine(360)
	phone.press(kb.Escape)

	// With the keyboard alone: not replayed without the question, and then replayed.
	light.tabTo(`document.activeElement.matches("#letters li.unknown button") && document.activeElement.textContent.startsWith("Replay")`)
	light.press(kb.Enter)
	light.untilText("#question-text", "done twice")
	light.fine(1280)
	light.shot("console-question")
	light.press(kb.Escape)
	light.until(`!document.querySelector("#question").open && document.querySelectorAll("#letters li button").length === 6`)
	light.tabTo(`document.activeElement.matches("#letters li.unknown button") && document.activeElement.textContent.startsWith("Replay")`)
	light.press(kb.Enter)
	light.until(`document.querySelector("#question").open`)
	light.tabTo(`document.activeElement.id === "question-yes"`)
	light.press(kb.Enter)
	light.untilText("#done", "was replayed as command")
	light.until(`!document.querySelector("#letters li.unknown")`)
	light.untilText("#rows li.result", "done")
	light.fine(1280)
	light.tabTo(`document.activeElement.matches("#done button")`)
	light.press(kb.Enter)
	light.untilText("#story-body", "a replay of parked")
	light.untilText("#story-body", "result published: done")

	// The other one is dropped on a phone, and is gone everywhere.
	phone.until(`document.querySelectorAll("#letters li button").length === 3`)
	phone.click("#letters li button:last-child")
	phone.untilText("#question-text", "deleted for good")
	phone.click("#question-yes")
	phone.untilText("#done", "was dropped")
	dark.untilText("#letters li", "Nothing.")
}

func TestTheConsoleAsksForTheToken(t *testing.T) {
	p := newPost(t, func(cfg *bridge.Config) { cfg.Admin.Token = "operators-only" })
	b := newTab(t, 360, 780)
	b.open(p.url + "/")
	b.until(`!document.querySelector("#login").hidden`)
	b.fine(360)
	b.write("#token", "guess"+kb.Enter)
	b.untilText("#login-problem", "not the admin token")
	b.fine(360)
	ask[string](b, `document.querySelector("#token").value = ""`)
	b.write("#token", "operators-only"+kb.Enter)
	b.untilText(".verdict", "Ready")
	b.never(`document.cookie !== "" || localStorage.length > 0`)
	b.reload()
	b.untilText(".verdict", "Ready")
	b.click("#logout")
	b.until(`!document.querySelector("#login").hidden && document.querySelector("#console").hidden`)
	b.reload()
	b.until(`!document.querySelector("#login").hidden`)
}
