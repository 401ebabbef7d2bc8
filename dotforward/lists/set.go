package lists

import "fmt"

// Action is what the rules say of a name.
type Action uint8

// The actions.
const (
	None  Action = iota // no rule is about it
	Block               // a rule blocks it
	Allow               // an exception lets it through
)

// String is the action in a word.
func (a Action) String() string {
	switch a {
	case Block:
		return "block"
	case Allow:
		return "allow"
	}
	return "none"
}

// Match is the rule that decides about a name. The zero Match is no rule.
type Match struct {
	Action Action
	List   string // the name of the file that has the rule, without its folder
	Line   int    // in that file, from 1

	flags flags
	name  []byte // on the wire, as the list has it
	cond  *condition
}

// Rule is the rule in the form of adblock lists, whatever form its list has. It allocates.
func (m Match) Rule() string {
	if m.Action == None {
		return ""
	}
	text := ""
	if m.cond != nil {
		text = m.cond.text
	}
	return ruleText(m.flags, m.name, text)
}

// String is list, line and rule: what a log or an Extended DNS Error (RFC 8914) says of it. It allocates.
func (m Match) String() string {
	if m.Action == None {
		return "no rule"
	}
	return fmt.Sprintf("%s:%d %s", m.List, m.Line, m.Rule())
}

// maxPerName bounds the rules that are kept for one name. Without conditions there are no more than 12 different ones.
const maxPerName = 32

// depths tells the numbers of labels that names have; longer ones share the last.
type depths uint64

func depthOf(labels int) depths { return 1 << min(labels, 63) }

// Set is the rules of several lists. It is immutable and safe for concurrent use. Its memory is about 8 bytes a rule beside the
// lists' own, which are 6 bytes and the name's text for each.
type Set struct {
	*table
	lists []*list
	roles []flags // of the lists: allow where their names are exceptions
	// How many labels the names have in rules that hold for the name itself, and in those that hold for what is below, by the
	// precedence that they exceed: where none of these is left, nothing is looked up.
	self, below [highest + 1]depths
	crowded     int // rules left out, as their name has too many
}

// newSet makes a set of these lists; what role a list has is added to the flags of its rules. Rules that an earlier list has too
// are dropped.
func newSet(lists []*list, roles []flags) (*Set, error) {
	arenas := make([]*arena, len(lists))
	revoked := make(map[string]bool)
	for i, l := range lists {
		arenas[i] = &l.arena
		for _, key := range l.revoked {
			revoked[key] = true
		}
	}
	t, err := newTable(arenas)
	if err != nil {
		return nil, err
	}
	s := &Set{table: t, lists: lists, roles: roles}
	var key []byte
	for c := range t.chunks {
		for at, e := range t.chunks[c].entries() {
			if len(revoked) > 0 {
				key = ruleKey(key[:0], e.flags(), e.name(), s.condText(s.ownerOf(uint32(c)<<chunkBits), e))
				if revoked[string(key)] {
					continue
				}
			}
			s.insert(uint32(c<<chunkBits | at))
		}
	}
	return s, nil
}

func (s *Set) insert(place uint32) {
	e := s.entry(place)
	name, f, owner := e.name(), s.flagsOf(place), s.ownerOf(place)
	p := s.probe(name)
	for n := 0; ; n++ {
		have, ok := s.next(&p, name)
		if !ok {
			break
		}
		same := s.flagsOf(have) == f
		if same && f&extra4 != 0 {
			same = s.condText(s.ownerOf(have), s.entry(have)) == s.condText(owner, e)
		}
		if same {
			return
		}
		if n == maxPerName-1 {
			s.crowded++
			return
		}
	}
	s.put(p, place)
	depth := depthOf(labels(name))
	for exceeded := range precedence(f) {
		if f&self != 0 {
			s.self[exceeded] |= depth
		}
		if f&below != 0 {
			s.below[exceeded] |= depth
		}
	}
}

// flagsOf are the flags of the entry at a place, with the role of its list.
func (s *Set) flagsOf(place uint32) flags {
	return s.entry(place).flags() | s.roles[s.ownerOf(place)]
}

// condition is that of an entry of a list, nil where it has none.
func (s *Set) condition(owner int, e entry, nameLen int) *condition {
	if e.flags()&extra4 == 0 {
		return nil
	}
	return &s.lists[owner].conditions[e.number(nameLen)]
}

func (s *Set) condText(owner int, e entry) string {
	if e.flags()&extra4 == 0 {
		return ""
	}
	return s.condition(owner, e, len(e.name())).text
}

// highest is the highest precedence.
const highest = 4

// precedence orders rules, from 1: exceptions go before blocks, and what is important before what is not.
func precedence(f flags) int {
	p := 1
	if f&allow != 0 {
		p++
	}
	if f&important != 0 {
		p += 2
	}
	return p
}

// Match finds the rule that decides about a name, on the wire in lower case, when records of type qtype are asked for. Of the
// rules about the name and the names above it, the one of the highest precedence decides, then the one about most labels, then the one
// that comes first. A name that is none on the wire has no rule. It does not allocate; the match refers to the set's memory.
func (s *Set) Match(name []byte, qtype uint16) (m Match) {
	best := 0
	var found uint32
	mask, have := self, &s.self
	for rest, suffix := labels(name), name; rest > 0 && (have[best]|s.below[best]) != 0; rest-- {
		if have[best]&depthOf(rest) != 0 {
			best, found = s.better(best, found, suffix, mask, name, qtype)
		}
		suffix = suffix[1+int(suffix[0]):]
		mask, have = below, &s.below
	}
	if best == 0 {
		return Match{}
	}
	return s.match(found)
}

// better is the rule for a name or one above it, which is suffix, that has the highest precedence, if that is higher than best.
func (s *Set) better(best int, found uint32, suffix []byte, mask flags, name []byte, qtype uint16) (int, uint32) {
	p := s.probe(suffix)
	for {
		place, ok := s.next(&p, suffix)
		if !ok {
			return best, found
		}
		f := s.flagsOf(place)
		if rank := precedence(f); rank > best && f&mask != 0 && s.holds(place, len(suffix), name, qtype) {
			best, found = rank, place
		}
	}
}

func (s *Set) holds(place uint32, suffix int, name []byte, qtype uint16) bool {
	e := s.entry(place)
	if e.flags()&extra4 == 0 {
		return true
	}
	return s.condition(s.ownerOf(place), e, suffix).holds(name, qtype)
}

func (s *Set) match(place uint32) Match {
	e, owner := s.entry(place), s.ownerOf(place)
	m := Match{Action: Block, List: s.lists[owner].name, Line: s.lineOf(place), flags: s.flagsOf(place), name: e.name()}
	if m.flags&allow != 0 {
		m.Action = Allow
	}
	m.cond = s.condition(owner, e, len(m.name))
	return m
}

// Len is how many different rules there are.
func (s *Set) Len() int { return s.count }
