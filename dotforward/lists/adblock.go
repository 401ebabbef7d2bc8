package lists

import (
	"bytes"
	"slices"
	"strings"
)

// The separators of cosmetic rules: element hiding, its exceptions, CSS and script injections, HTML filters.
var cosmeticMarks = [][]byte{
	[]byte("##"), []byte("#@#"), []byte("#?#"), []byte("#$#"), []byte("#%#"), []byte("#@?#"), []byte("#@$#"), []byte("#@%#"),
	[]byte("#$?#"), []byte("#@$?#"), []byte("$$"), []byte("$@$"),
}

// isCosmetic reports whether a line is about parts of pages.
func isCosmetic(text []byte) bool {
	i := bytes.IndexAny(text, "#$")
	if i < 0 {
		return text[0] == '[' // a rule for browsers with modifiers in front
	}
	for _, mark := range cosmeticMarks {
		if bytes.Contains(text[i:], mark) {
			return true
		}
	}
	return false
}

// isAdblock reports whether a line has one of the signs that only rules for browsers have.
func isAdblock(text []byte) bool {
	return text[0] == '|' || text[0] == '/' || bytes.HasPrefix(text, []byte("@@")) || bytes.IndexByte(text, '$') >= 0 ||
		bytes.IndexByte(text, '^') >= 0
}

// adblock reads a rule as browsers' lists have it, as far as it is about names: ||x^ for x and what is below it, |x^ for x alone,
// ||*.x^ for what is below x alone, @@ in front for an exception, modifiers behind a $.
func (r *ruleReader) adblock(number int, text []byte) error {
	rest, exception := bytes.CutPrefix(text, []byte("@@"))
	var f flags
	if exception {
		f |= allow
	}
	if len(rest) > 1 && rest[0] == '/' && (rest[len(rest)-1] == '/' || bytes.Contains(rest, []byte("/$"))) {
		r.list.leave(Expression, number, text)
		return nil
	}
	pattern, options, _ := bytes.Cut(rest, []byte("$"))
	name, scope, why, ok := host(bytes.TrimSpace(pattern))
	if !ok {
		r.list.leave(why, number, text)
		return nil
	}
	f |= scope
	m, why, ok := readModifiers(string(options), exception)
	if !ok {
		r.list.leave(why, number, text)
		return nil
	}
	if m.important {
		f |= important
	}
	if !m.badfilter {
		return r.add(number, adblockForm, f, name, text, m.cond())
	}
	wire, why, ok := r.readName(name)
	if !ok {
		r.list.leave(why, number, text)
		return nil
	}
	r.list.rules++
	r.list.forms[adblockForm]++
	r.list.revoked = append(r.list.revoked, string(ruleKey(nil, f, wire, m.text)))
	return nil
}

// host is the name in a pattern, and what it holds for. Where no anchor or separator says otherwise, browsers look for the
// pattern anywhere; of that, the name and what is below it is what is meant.
func host(pattern []byte) (name []byte, scope flags, why Reason, ok bool) {
	scope = self | below
	name, whole := bytes.CutPrefix(pattern, []byte("||"))
	if !whole {
		if cut, is := bytes.CutPrefix(pattern, []byte("|")); is {
			name, scope = cut, self
		}
	}
	name = bytes.TrimSuffix(name, []byte("*"))
	name = bytes.TrimSuffix(name, []byte("|"))
	name = bytes.TrimSuffix(name, []byte("^"))
	if cut, is := bytes.CutPrefix(name, []byte("*.")); is {
		if name = cut; whole {
			scope = below
		}
	} else if cut, is := bytes.CutPrefix(name, []byte(".")); is && !whole {
		name = cut
	}
	switch {
	case bytes.ContainsAny(name, "/?=&:~^"):
		return nil, 0, PartOfURL, false
	case len(name) == 0:
		return nil, 0, Wildcard, false // a rule about everything
	}
	return name, scope, 0, true
}

// modifiers are what stands behind the $ of a rule.
type modifiers struct {
	important, badfilter bool
	condition
}

// cond is the condition, nil where there is none.
func (m *modifiers) cond() *condition {
	if m.text == "" {
		return nil
	}
	return &m.condition
}

// readModifiers reads those that say something about names. A rule with another one means less than its pattern says, so it is left
// out rather than taken for more.
func readModifiers(options string, exception bool) (m modifiers, why Reason, ok bool) {
	if options == "" {
		return m, 0, true
	}
	var texts []string
	for o := range strings.SplitSeq(options, ",") {
		o = strings.TrimSpace(o)
		key, value, _ := strings.Cut(o, "=")
		switch key = strings.ToLower(key); key {
		case "important":
			m.important = true
		case "badfilter":
			m.badfilter = true
		case "all", "document", "doc":
			if exception {
				return m, OtherModifier, false // frees what a page loads, from wherever
			}
		case "dnstype":
			if !m.readTypes(value) {
				return m, NotUnderstood, false
			}
			texts = append(texts, key+"="+strings.ToUpper(value))
		case "denyallow":
			if !m.readExcept(value) {
				return m, NotUnderstood, false
			}
			texts = append(texts, key+"="+strings.ToLower(value))
		case "client", "ctag":
			return m, ClientModifier, false
		case "dnsrewrite":
			return m, RewriteModifier, false
		default:
			if key == "" || strings.Trim(key, "_") != "" { // underscores alone are there to be ignored
				return m, OtherModifier, false
			}
		}
	}
	slices.Sort(texts)
	m.text = strings.Join(texts, ",")
	return m, 0, true
}

func (c *condition) readTypes(value string) bool {
	for text := range strings.SplitSeq(value, "|") {
		text, not := strings.CutPrefix(strings.TrimSpace(text), "~")
		t, ok := typeOf(text)
		if !ok {
			return false
		}
		if not {
			c.notTypes = append(c.notTypes, t)
		} else {
			c.types = append(c.types, t)
		}
	}
	return true
}

func (c *condition) readExcept(value string) bool {
	for text := range strings.SplitSeq(value, "|") {
		name, ok := AppendName(nil, []byte(strings.TrimPrefix(strings.TrimSpace(text), "*.")))
		if !ok {
			return false
		}
		c.except = append(c.except, name)
	}
	return true
}
