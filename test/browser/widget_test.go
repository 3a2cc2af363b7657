//go:build browser

package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const empty = `document.querySelector("#outbox").childElementCount === 0`

func TestTheWholeStoryFromTheFirstWordToTheLast(t *testing.T) {
	h := build(t)
	v := newTab(t, 500, 740)
	v.open(h.url + "/")
	v.untilText("h1", "Parcel help")
	v.accessible()
	v.write("#name", "Ann")
	v.click("#start button")
	v.says("Where is my parcel?")
	v.untilText("li.bot .bubble", "You said: Where is my parcel?")
	v.says("I would like to talk to an agent.")
	v.untilText("li.bot .bubble", "I am getting a human")
	v.untilText("#state", "on the way")

	a := newTab(t, 940, 740)
	a.open(h.url + "/_sim/")
	a.untilText("nav button", "waits for an agent")
	a.click("nav button")
	a.untilText("#messages li", "I would like to talk to an agent.")
	a.accessible()
	a.click("#pick-up")
	v.untilText("#state", "is with you")
	a.write("#text", "A note among agents")
	a.click("#note")
	a.untilText("#messages li.private", "A note among agents")
	a.write("#text", "Hi Ann! Your parcel is on the van, it arrives today.")
	a.click("#say")
	v.untilText("li.agent .bubble", "it arrives today")
	v.says("Wonderful, thank you!")
	a.untilText("#messages li.incoming", "Wonderful, thank you!")
	v.until(empty)
	v.accessible()
	picture(t, a, v)
	a.click("#resolve")
	v.untilText("#over", "finished")
	v.accessible()
	a.untilText("#status", "finished")

	want := []string{
		"Where is my parcel?", "You said: Where is my parcel?", "I would like to talk to an agent.", "One moment, I am getting a human.",
		"Hi Ann! Your parcel is on the van, it arrives today.", "Wonderful, thank you!",
	}
	if got := v.texts(); !slices.Equal(got, want) {
		t.Errorf("the visitor sees %q, want %q", got, want)
	}
	h.exactly("Ann", "Where is my parcel?", "I would like to talk to an agent.", "Wonderful, thank you!")
	v.click("#again")
	v.until(`!document.querySelector("#start").hidden && document.querySelector("#chat").hidden`)
}

func TestTwoVisitorsSeeOnlyTheirOwn(t *testing.T) {
	h := build(t)
	ann, bob := h.visitor("Ann", 400, 700), h.visitor("Bob", 400, 700)
	ann.says("I am Ann")
	bob.says("I am Bob")
	ann.says("secret of Ann")
	bob.says("secret of Bob")
	ann.untilText("li.bot .bubble", "You said: secret of Ann")
	bob.untilText("li.bot .bubble", "You said: secret of Bob")
	for _, each := range []struct {
		page  *tab
		name  string
		other string
	}{{ann, "Ann", "Bob"}, {bob, "Bob", "Ann"}} {
		want := []string{"I am " + each.name, "You said: I am " + each.name, "secret of " + each.name, "You said: secret of " + each.name}
		got := each.page.texts()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s sees %q", each.name, got)
		}
		each.page.never(`document.body.textContent.includes("` + each.other + `")`)
		each.page.never(`document.cookie !== ""`)
	}
	h.exactly("Ann", "I am Ann", "secret of Ann")
	h.exactly("Bob", "I am Bob", "secret of Bob")
}

func TestAReloadInTheMiddleLosesNothing(t *testing.T) {
	h := build(t)
	v := h.visitor("Ann", 400, 700)
	v.says("before")
	v.untilText("li.bot .bubble", "You said: before")
	v.write("#text", "half a sen")
	v.reload()
	v.untilText("li.bot .bubble", "You said: before")
	v.until(`document.querySelector("#text").value === "half a sen"`)
	v.write("#text", "tence")
	v.click("#write button")
	v.reload() // it may be on its way
	v.untilText("li.bot .bubble", "You said: half a sentence")
	v.until(empty)
	if got, want := v.texts(), []string{"before", "You said: before", "half a sentence", "You said: half a sentence"}; !slices.Equal(got, want) {
		t.Errorf("the visitor sees %q, want %q", got, want)
	}
	h.exactly("Ann", "before", "half a sentence")
}

func TestALostConnectionLosesNothing(t *testing.T) {
	h := build(t)
	v := h.visitor("Ann", 400, 700)
	v.says("before")
	v.untilText("li.bot .bubble", "You said: before")
	h.away.Store(true)
	h.cut()
	v.says("meanwhile")
	v.untilText("#outbox li", "meanwhile")
	v.untilText("#notice", "trying again")
	v.accessible()
	if _, err := h.sim.AgentSays(h.conversation("Ann").ID, "from the agent meanwhile"); err != nil {
		t.Fatal(err)
	}
	h.away.Store(false)
	v.untilText("li.agent .bubble", "from the agent meanwhile")
	v.untilText("li.visitor .bubble", "meanwhile")
	v.until(empty)
	v.until(`document.querySelector("#notice").hidden`)
	h.exactly("Ann", "before", "meanwhile")
}

func TestNATSRestartedInTheMiddleLosesNothing(t *testing.T) {
	h := build(t)
	v := h.visitor("Ann", 400, 700)
	v.says("before")
	v.untilText("li.bot .bubble", "You said: before")
	v.until(empty)
	h.bus.Stop()
	v.says("one while NATS is away")
	v.says("two while NATS is away")
	v.untilText("#outbox li", "two while NATS is away")
	h.bus.Restart(t)
	v.untilText("li.bot .bubble", "You said: one while NATS is away")
	v.untilText("li.bot .bubble", "You said: two while NATS is away")
	v.until(empty)
	h.exactly("Ann", "before", "one while NATS is away", "two while NATS is away")
	if got := v.texts(); len(got) != 6 {
		t.Errorf("the visitor sees %q, want six messages", got)
	}
}

func TestMarkupIsText(t *testing.T) {
	h := build(t)
	const evil = `<script>document.title = "owned"; alert(1)</script><img src=x onerror="document.title='owned'"><b>bold</b>`
	v := h.visitor(`<i>Eve</i><script>alert(2)</script>`, 400, 700)
	a := newTab(t, 900, 700)
	a.open(h.url + "/_sim/")
	v.says(evil)
	v.untilText("li.visitor .bubble", evil)
	v.untilText("li.bot .bubble", "You said: "+evil)
	a.untilText("nav button", "<i>Eve</i><script>alert(2)</script>")
	a.click("nav button")
	a.untilText("#messages li.incoming", evil)
	a.write("#text", evil)
	a.click("#say")
	v.untilText("li.agent .bubble", evil)
	for _, page := range []*tab{v, a} {
		page.never(`document.title === "owned"`)
		page.never(`document.querySelector("main script, main img, main b:not(#messages > li > b), main i")`)
	}
}

func TestASmallPhone(t *testing.T) {
	h := build(t)
	fits := func(b *tab) {
		t.Helper()
		b.until(`document.documentElement.scrollWidth <= 320 && document.documentElement.scrollHeight <= 560`)
		b.never(`[...document.querySelectorAll("button, input, textarea")].some((e) => e.checkVisibility() && (e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().right > 320))`)
		b.accessible()
	}
	v := newTab(t, 320, 560)
	v.open(h.url + "/")
	v.until(`!document.querySelector("#start").hidden`)
	fits(v)
	v.write("#name", "Ann")
	v.click("#start button")
	v.says(strings.Repeat("averylongword", 20))
	v.untilText("li.bot .bubble", "You said: averylongword")
	fits(v)
	a := newTab(t, 320, 560)
	a.open(h.url + "/_sim/")
	a.untilText("#messages li", "You said")
	a.until(`document.documentElement.scrollWidth <= 320`)
	a.click("#pick-up")
	a.untilText("#status", "with Bo")
	a.accessible()
	for _, b := range []*tab{v, a} {
		b.do(calm("dark"))
		b.accessible()
	}
}

// picture puts the two pages beside one another for the README, into the folder that SCREENSHOTS names.
func picture(t *testing.T, agent, visitor *tab) {
	t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	var both []image.Image
	width, height := 0, 0
	for _, b := range []*tab{visitor, agent} {
		shot, err := png.Decode(bytes.NewReader(b.picture()))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, shot)
		width, height = width+shot.Bounds().Dx(), max(height, shot.Bounds().Dy())
	}
	const gap = 12
	whole := image.NewRGBA(image.Rect(0, 0, width+gap, height))
	draw.Draw(whole, whole.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	x := 0
	for _, shot := range both {
		draw.Draw(whole, shot.Bounds().Add(image.Pt(x, 0)), shot, image.Point{}, draw.Src)
		x += shot.Bounds().Dx() + gap
	}
	var out bytes.Buffer
	if err := png.Encode(&out, whole); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("..", "..", folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "chat.png"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
