package annotate

import "github.com/whence-project/whence/enrich"

// The sizes of a worker's caches. Addresses have one place each, where the one that came last is: with the logs of servers, nearly
// all lines are by few addresses, and 1 MiB stays within the processor's caches.
const (
	bits4    = 16
	bits6    = 14
	maxTexts = 1 << 15
)

// cache knows the ids of the answers about addresses and texts that have been asked about.
type cache struct {
	v4    []slot4
	v6    []slot6
	texts map[string]textual
}

type slot4 struct {
	addr uint32
	id   id
}

type slot6 struct {
	hi, lo uint64
	id     id
}

// textual is what a text stands for.
type textual struct {
	id      id
	subject enrich.Subject
}

// place is where the id of an answer goes when it is known: a slot of the cache by its number, or the text.
type place struct {
	kind kind
	slot uint32
	text string
}

// kind is a part of the cache.
type kind uint8

const (
	byV4 kind = iota
	byV6
	byText
)

func newCache() cache {
	return cache{make([]slot4, 1<<bits4), make([]slot6, 1<<bits6), make(map[string]textual)}
}

func (c *cache) reset() {
	clear(c.v4)
	clear(c.v6)
	clear(c.texts)
}

// slotOf4 is the number of an address's slot.
func slotOf4(v uint32) uint32 { return v * 0x9e3779b1 >> (32 - bits4) }

func slotOf6(hi, lo uint64) uint32 {
	return uint32((hi ^ lo*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd >> (64 - bits6))
}

// remember keeps what a text stands for.
func (c *cache) remember(text string, t textual) {
	if len(c.texts) >= maxTexts {
		clear(c.texts)
	}
	c.texts[text] = t
}

// settle puts the id of an answer where its pending one still is.
func (c *cache) settle(p place, was, is id) {
	switch p.kind {
	case byV4:
		if s := &c.v4[p.slot]; s.id == was {
			s.id = is
		}
	case byV6:
		if s := &c.v6[p.slot]; s.id == was {
			s.id = is
		}
	case byText:
		if t, ok := c.texts[p.text]; ok && t.id == was {
			t.id = is
			c.texts[p.text] = t
		}
	}
}
