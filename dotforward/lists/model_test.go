package lists

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// modelRule is a rule as a reader of the documentation would keep it.
type modelRule struct {
	name                              string
	self, below, exception, important bool
	types                             []uint16
	where                             string
}

func (r modelRule) text() string {
	b := ""
	if r.exception {
		b = "@@"
	}
	switch {
	case r.self && r.below:
		b += "||"
	case r.below:
		b += "||*."
	default:
		b += "|"
	}
	b += r.name + "^"
	var m []string
	if r.important {
		m = append(m, "important")
	}
	for _, t := range r.types {
		m = append(m, fmt.Sprintf("dnstype=TYPE%d", t))
	}
	if len(m) > 0 {
		b += "$" + strings.Join(m, ",")
	}
	return b
}

func (r modelRule) holds(name string, qtype uint16) bool {
	under := strings.HasSuffix(name, "."+r.name)
	return (r.self && name == r.name || r.below && under) && (len(r.types) == 0 || slices.Contains(r.types, qtype))
}

func (r modelRule) precedence() int {
	switch {
	case r.important && r.exception:
		return 4
	case r.important:
		return 3
	case r.exception:
		return 2
	}
	return 1
}

// decides is the rule that decides, by going through all of them.
func decides(rules []modelRule, name string, qtype uint16) string {
	best, found := [2]int{}, "no rule"
	for _, r := range rules {
		if !r.holds(name, qtype) {
			continue
		}
		rank := [2]int{r.precedence(), strings.Count(r.name, ".")}
		if found == "no rule" || slices.Compare(rank[:], best[:]) > 0 {
			best, found = rank, r.where+" "+r.text()
		}
	}
	return found
}

// TestAgainstAModel compares sets of few names and many rules about them with a search through all rules.
func TestAgainstAModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	randomName := func() string {
		parts := make([]string, 1+rnd.IntN(4))
		for i := range parts {
			parts[i] = string(rune('a' + rnd.IntN(3)))
		}
		return strings.Join(parts, ".")
	}
	for range 300 {
		var rules []modelRule
		var lists []*list
		for l := range 1 + rnd.IntN(4) {
			var text strings.Builder
			parsed := &list{name: fmt.Sprintf("list%d", l)}
			for line := range rnd.IntN(20) {
				r := modelRule{name: randomName(), exception: rnd.IntN(3) == 0, important: rnd.IntN(4) == 0}
				r.self, r.below = rnd.IntN(3) > 0, rnd.IntN(3) > 0
				r.self = r.self || !r.below
				if rnd.IntN(5) == 0 {
					r.types = []uint16{uint16(1 + rnd.IntN(2))}
				}
				r.where = fmt.Sprintf("%s:%d", parsed.name, line+1)
				text.WriteString(r.text() + "\n")
				rules = append(rules, r)
			}
			if err := (&ruleReader{list: parsed}).read(t.Context(), strings.NewReader(text.String())); err != nil {
				t.Fatal(err)
			}
			lists = append(lists, parsed)
		}
		s, err := newSet(lists, make([]flags, len(lists)))
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			name, qtype := randomName(), uint16(1+rnd.IntN(3))
			if got, want := s.Match(wire(t, name), qtype).String(), decides(rules, name, qtype); got != want {
				t.Fatalf("%s type %d: %s, want %s", name, qtype, got, want)
			}
		}
	}
}

// TestRealNames blocks every third of the names that a network asked for, and none of the others.
func TestRealNames(t *testing.T) {
	names := realNames(t)
	var text strings.Builder
	blocked := make(map[string]bool)
	for i, name := range names {
		name = strings.ToLower(name)
		if i%3 == 0 && !blocked[name] {
			if _, ok := AppendName(nil, []byte(name)); ok {
				blocked[name] = true
				text.WriteString("0.0.0.0 " + strings.TrimSuffix(name, ".") + "\n")
			}
		}
	}
	b := open(t, BlockOptions{Files: []string{write(t, t.TempDir(), "hosts", text.String())}})
	if len(blocked) < len(names)/4 || b.Set().Len() != len(blocked) {
		t.Fatalf("%d rules of %d names", b.Set().Len(), len(blocked))
	}
	for _, name := range names {
		wire, ok := AppendName(nil, []byte(name))
		if ok && (b.Match(wire, typeA).Action == Block) != blocked[strings.ToLower(name)] {
			t.Errorf("%s: %v", name, b.Match(wire, typeA))
		}
	}
}
