package ledger

import (
	"hash/maphash"
	"slices"
	"time"
)

// entrySize is how much text an entry of a notebook may have on average, in bytes.
const entrySize = 128

// notebook maps keys to short texts, for a while. It is written page by page, and a page is given up as a whole. There are no pointers in a page but those
// to its two parts, so that the garbage collector does not go over tens of thousands of entries again and again.
type notebook struct {
	age    time.Duration
	length int // of a page, in entries
	pages  []*page
	most   int // pages
	seed   maphash.Seed
}

type page struct {
	index map[uint64]note // by the hash of the key
	text  []byte          // keys and what was noted
	last  int64           // the latest time in it, in nanoseconds
}

// note is where in the text of its page a key begins, and behind it what was noted.
type note struct {
	at        int64 // nanoseconds
	start     uint32
	key, text uint32 // lengths
}

// newNotebook returns a notebook for so many entries, if they are no longer than usual, or a tenth more.
func newNotebook(age time.Duration, entries int) notebook {
	const pages = 10
	return notebook{age: age, length: entries / pages, most: pages + 1, seed: maphash.MakeSeed()}
}

// get returns what was noted last under a key.
func (n *notebook) get(key string, now time.Time) (string, bool) {
	hash := maphash.String(n.seed, key)
	for _, p := range slices.Backward(n.pages) {
		if found, ok := p.index[hash]; ok {
			rest := p.text[found.start:]
			fresh := now.UnixNano()-found.at <= int64(n.age)
			if string(rest[:found.key]) != key || !fresh {
				return "", false
			}
			return string(rest[found.key : found.key+found.text]), true
		}
	}
	return "", false
}

// put copies what it notes.
func (n *notebook) put(key, text string, at, now time.Time) {
	if now.Sub(at) > n.age {
		return
	}
	p := n.page(now)
	p.index[maphash.String(n.seed, key)] = note{at: at.UnixNano(), start: uint32(len(p.text)), key: uint32(len(key)), text: uint32(len(text))}
	p.text = append(append(p.text, key...), text...)
	p.last = max(p.last, at.UnixNano())
}

// page returns the page to write on, and gives up those that are too old or too many.
func (n *notebook) page(now time.Time) *page {
	if last := len(n.pages) - 1; last >= 0 {
		if p := n.pages[last]; len(p.index) < n.length && len(p.text) < n.length*entrySize {
			return p
		}
	}
	gone := max(len(n.pages)+1-n.most, 0)
	for gone < len(n.pages) && now.UnixNano()-n.pages[gone].last > int64(n.age) { // never one behind another: what it replaced would be known again
		gone++
	}
	n.pages = slices.Delete(n.pages, 0, gone)
	p := &page{index: make(map[uint64]note)}
	n.pages = append(n.pages, p)
	return p
}

// len returns how many entries there are. They may be too old.
func (n *notebook) len() (entries int) {
	for _, p := range n.pages {
		entries += len(p.index)
	}
	return entries
}
