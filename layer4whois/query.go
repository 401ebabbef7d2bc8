package layer4whois

import (
	"slices"
	"strings"
)

// op is what a line asks for.
type op uint8

const (
	opLookup   op = iota
	opBulk        // begin
	opHelp        // help, ?
	opVersion     // -q version
	opSources     // -q sources
	opTypes       // -q types
	opTemplate    // -t type
	opKeep        // -k alone: begins or ends a persistent connection
	opError       // err says what was wrong
)

// query is a line that has been understood. Its strings share the line's bytes.
type query struct {
	op      op
	asOnly  bool    // bare digits are an AS number
	keep    bool    // the connection stays open
	raw     bool    // what the registry's server wrote is wanted
	isCymru bool    // the answer is in Team Cymru's form, with columns
	columns cymru   // as the options set them
	dialect Dialect // the one that was asked for, nil for the server's
	key     string
	err     Error
}

// parseQuery understands a line that has no blanks around it. home is the server's dialect: where that is Cymru, every letter
// is read as an option of Team Cymru's.
func parseQuery(line string, home Dialect) query {
	q := query{columns: cymru{cols: colsSingle}, isCymru: home == Cymru}
	if line == "" {
		return q.fail(&errNoKey, "")
	}
	if c := line[0]; c >= '0' && c <= '9' && strings.IndexByte(line, ' ') < 0 {
		q.key = strings.TrimSuffix(line, "/e")
		return q
	}
	var f flags
	key, wrong := q.options(line, &f)
	if wrong != "" {
		return q.fail(&errOption, wrong)
	}
	template := isTemplate(key)
	q.isCymru = q.isCymru || f.has(cymruOnly) || f.has("v") && key != "" && !template
	switch {
	case q.op != opLookup: // the options said all
	case key == "" && q.keep:
		q.op = opKeep
	case key == "":
		return q.fail(&errNoKey, "")
	case f.has("q") && q.about(key):
	case f.has("tv") && template:
		q.op, q.key = opTemplate, key
	case f.has("tq") && !q.isCymru:
		return q.fail(&errObjectType, key)
	case f.refused != 0 && !q.isCymru:
		return q.fail(&errOption, string([]byte{'-', f.refused}))
	default:
		q.words(key)
	}
	return q
}

func (q *query) fail(e *Error, detail string) query {
	q.op, q.err = opError, *e.with(detail, 1)
	return *q
}

// flags collects the letters of options, which RIPE's clients and Team Cymru's do not mean the same by: what they mean is
// known when all of them are.
type flags struct {
	seen    uint64 // bit c-'A'
	refused byte   // the first flag of RIPE's that Whence has no answer to
}

const (
	cymruOnly   = "efnopuw"      // no flags of RIPE's, so that who sends one talks to Team Cymru
	ripeIgnored = "BCGTVZacdrqt" // flags of RIPE's that change nothing here, or are dealt with elsewhere
	ripeRefused = "FKLMRbgilmsxyv"
)

func (f *flags) has(letters string) bool {
	for i := range len(letters) {
		if f.seen&(1<<(letters[i]-'A')) != 0 {
			return true
		}
	}
	return false
}

// options takes the options off the front of line and returns what follows them. wrong is an option that nobody knows.
func (q *query) options(line string, f *flags) (rest, wrong string) {
	rest = line
	for len(rest) > 1 && rest[0] == '-' {
		w, after := word(rest)
		if w == "--" {
			return after, ""
		}
		if strings.HasPrefix(w, "--") {
			rest, wrong = q.long(w[2:], after)
		} else {
			rest, wrong = q.letters(w[1:], after, f)
		}
		if wrong != "" {
			return rest, w
		}
	}
	return rest, ""
}

// long is one long option; after is what follows it on the line.
func (q *query) long(name, after string) (rest, wrong string) {
	name, value, given := strings.Cut(name, "=")
	switch strings.ToLower(name) {
	case "json", "lines", "aligned":
		q.dialect = DialectByName(strings.ToLower(name))
	case "cymru":
		q.isCymru = true
	case "charset": // answers are UTF-8
		if !given {
			_, after = word(after)
		}
	case "show-handles", "no-personal", "show-personal", "resource", "valid-syntax", "no-valid-syntax":
	case "raw":
		q.raw = true
	case "help":
		q.op = opHelp
	case "version":
		q.op = opVersion
	default:
		if value != "" || !q.columns.word(name) {
			return after, name
		}
		q.isCymru = true
	}
	return after, ""
}

// letters are the single-letter options of one word, which may be joined: -rBG. Some take an argument, in the word or after it.
func (q *query) letters(w, after string, f *flags) (rest, wrong string) {
	for i := range len(w) {
		c := w[i]
		known := strings.IndexByte(ripeIgnored, c) >= 0
		switch {
		case c == 'V' || c == 'T' || c == 'Z':
			if i+1 == len(w) {
				_, after = word(after)
			}
			return after, ""
		case c == 'C' && isCharset(after): // DENIC's; RIPE's takes no argument
			_, after = word(after)
		case c == 'h':
			q.op, known = opHelp, true
		case c == 'k':
			q.keep, known = true, true
		case c == 'j':
			q.dialect, known = JSON, true
		case strings.IndexByte(ripeRefused, c) >= 0:
			if known = true; f.refused == 0 {
				f.refused = c
			}
		}
		if !q.columns.letter(c) && !known {
			return after, w
		}
		f.seen |= 1 << (c - 'A')
	}
	return after, ""
}

// about is RIPE's -q.
func (q *query) about(what string) bool {
	switch strings.ToLower(what) {
	case "version":
		q.op = opVersion
	case "sources":
		q.op = opSources
	case "types":
		q.op = opTypes
	default:
		return false
	}
	return true
}

// words reads what is left when the options are gone: a key, or a registry's words around one.
func (q *query) words(s string) {
	first, rest := word(s)
	switch {
	case rest == "" && strings.EqualFold(s, "begin"):
		q.op = opBulk
		return
	case s == "?" || rest == "" && strings.EqualFold(s, "help"):
		q.op = opHelp
		return
	case rest == "":
	case len(first) == 1 && strings.IndexByte("naporezd", first[0]|0x20) >= 0: // ARIN's record types, and RWhois' z
		q.asOnly = first[0]|0x20 == 'a'
		s = modifiers(rest)
	case strings.EqualFold(first, "domain") || strings.EqualFold(first, "nameserver"): // Verisign's
		s = modifiers(rest)
	}
	if len(s) > 1 && s[0] == '=' {
		s = strings.TrimLeft(s[1:], " \t")
	}
	if k, ok := strings.CutSuffix(s, "/e"); ok { // JPRS: in English
		s = strings.TrimRight(k, " \t")
	}
	if s == "" {
		q.fail(&errNoKey, "")
		return
	}
	q.key = s
}

// modifiers takes ARIN's modifiers off the front, as long as something follows them.
func modifiers(s string) string {
	for {
		w, rest := word(s)
		if len(w) != 1 || rest == "" || strings.IndexByte("+-=<>!@*$", w[0]) < 0 {
			return s
		}
		s = rest
	}
}

// word is the first word of s and what follows it, without the blanks between.
func word(s string) (w, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

// isCharset reports that s begins with a word that names a character set and is followed by something.
func isCharset(s string) bool {
	w, rest := word(s)
	w = strings.ToLower(w)
	return rest != "" && (strings.HasPrefix(w, "iso-") || strings.HasPrefix(w, "utf") || w == "us-ascii" || w == "latin-1")
}

// templates are RIPE's object types (RFC 2622 and the RIPE database), which -t and -v ask about.
var templates = []string{"as-block", "as-set", "aut-num", "domain", "filter-set", "inet-rtr", "inet6num", "inetnum", "irt",
	"key-cert", "mntner", "organisation", "peering-set", "person", "role", "route", "route-set", "route6", "rtr-set"}

func isTemplate(s string) bool {
	return slices.ContainsFunc(templates, func(t string) bool { return strings.EqualFold(s, t) })
}
