package lexical

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.mau.fi/util/confusable"
	"golang.org/x/net/idna"

	"github.com/whence-project/whence/enrich"
)

// strict maps names as a client that looks them up does (RFC 5891 §5, UTS 46).
var strict = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false),
	idna.CheckHyphens(false))

var (
	errPunycode = errors.New("a label begins with xn-- but is not Punycode (RFC 3492)")
	errUnfit    = errors.New("a label in Punycode stands for what no name may have (RFC 5891)")
	errHidden   = errors.New("a label in Punycode stands for characters that cannot be shown")
)

// ToUnicode is a domain name with its A-labels as U-labels (RFC 5890), in lower case. What an A-label stands for is given even if
// no name may have it, with an error that says so; where it cannot be given or must not be shown, that label is left as it is.
func ToUnicode(name string) (string, error) {
	labels := strings.Split(strings.ToLower(name), ".")
	var fault error
	for i, label := range labels {
		if !strings.HasPrefix(label, "xn--") {
			continue
		}
		u, err := idna.Punycode.ToUnicode(label)
		switch {
		case err != nil || u == label || u == "":
			fault = errPunycode
			continue
		case strings.ContainsFunc(u, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }):
			fault = errHidden
			continue
		}
		if a, err := strict.ToASCII(u); err != nil || a != label {
			fault = errUnfit
		}
		labels[i] = u
	}
	return strings.Join(labels, "."), fault
}

// ToASCII is a domain name in A-labels and lower case.
func ToASCII(name string) (string, error) { return strict.ToASCII(name) }

// hasALabel reports whether a name in lower case has a label in Punycode.
func hasALabel(name string) bool {
	for at := 0; ; {
		i := strings.Index(name[at:], "xn--")
		if i < 0 {
			return false
		}
		if at += i; at == 0 || name[at-1] == '.' {
			return true
		}
		at += 4
	}
}

// idn is what can be said of a name that is, or is perhaps meant to be, an internationalised one.
type idn struct {
	unicode string // empty for names in plain ASCII
	fault   error
	scripts []string // of the labels that are not ASCII
	mixed   bool
	looks   string // the ASCII name that it looks like, empty for none
}

// idnOf looks at a name in A-labels, or at a word.
func idnOf(name string) (i idn) {
	if hasALabel(name) {
		i.unicode, i.fault = ToUnicode(name)
	} else if !isASCII(name) {
		i.unicode = name
	}
	if i.unicode == "" || isASCII(i.unicode) {
		return i
	}
	for label := range strings.SplitSeq(i.unicode, ".") {
		if isASCII(label) {
			continue
		}
		scripts := scriptsOf(label)
		i.mixed = i.mixed || !usualTogether(scripts)
		for _, s := range scripts {
			if !slices.Contains(i.scripts, s) {
				i.scripts = append(i.scripts, s)
			}
		}
	}
	i.looks = lookalike(i.unicode)
	return i
}

// add adds the fields. Those that are absent say that there is nothing to say.
func (i *idn) add(b *enrich.Builder, name string) {
	if i.unicode != "" && i.unicode != name {
		b.Field("unicode_name", i.unicode)
	}
	if !isASCII(name) {
		if a, err := ToASCII(name); err == nil {
			b.Field("ascii_name", a)
		}
	}
	if i.fault != nil {
		b.Field("idn_error", i.fault.Error())
	}
	for _, s := range i.scripts {
		b.Add(enrich.Field{Key: "scripts", Value: s, List: len(i.scripts) > 1})
	}
	if i.mixed {
		b.Add(enrich.Field{Key: "mixed_scripts", Value: "true", Type: enrich.Bool})
	}
	if i.looks != "" {
		b.Field("lookalike_of", i.looks)
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// usualScripts are those that most names are in, looked at before all others.
var usualScripts = []string{"Latin", "Cyrillic", "Greek", "Han", "Hiragana", "Katakana", "Hangul", "Arabic", "Hebrew", "Thai", "Devanagari"}

// scriptsOf are the scripts of a label's characters, in alphabetical order, without those that are common to several.
func scriptsOf(label string) (scripts []string) {
	for _, r := range label {
		if s := scriptOf(r); s != "" && !slices.Contains(scripts, s) {
			scripts = append(scripts, s)
		}
	}
	slices.Sort(scripts)
	return scripts
}

// scriptOf is the script of a character, empty where it belongs to several or none.
func scriptOf(r rune) string {
	if unicode.In(r, unicode.Common, unicode.Inherited) {
		return ""
	}
	for _, s := range usualScripts {
		if unicode.Is(unicode.Scripts[s], r) {
			return s
		}
	}
	for s, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return s
		}
	}
	return ""
}

// together are the scripts that one word is written in, besides Latin: UTS 39 §5.2, "highly restrictive".
var together = [][]string{{"Han", "Hiragana", "Katakana"}, {"Bopomofo", "Han"}, {"Han", "Hangul"}}

// usualTogether reports whether a label may be in these scripts without raising an eyebrow.
func usualTogether(scripts []string) bool {
	if len(scripts) < 2 {
		return true
	}
	return slices.ContainsFunc(together, func(set []string) bool {
		return !slices.ContainsFunc(scripts, func(s string) bool { return s != "Latin" && !slices.Contains(set, s) })
	})
}

// prototypes are the ASCII characters of names by their skeletons (UTS 39 §4). Where a letter and a digit have the same, as l
// and 1 do, it is the letter.
var prototypes = sync.OnceValue(func() map[string]byte {
	m := make(map[string]byte)
	for _, c := range []byte("-0123456789abcdefghijklmnopqrstuvwxyz") {
		m[confusable.Skeleton(string(rune(c)))] = c
	}
	return m
})

// lookalike is the name that a name in Unicode looks like, where each character of a label with others than ASCII looks like one
// that is; empty where there is no such label. Other labels are left as they are. A label in the script of its own top-level
// domain is what it seems to be.
func lookalike(name string) string {
	labels := strings.Split(name, ".")
	home := scriptsOf(labels[len(labels)-1])
	found := false
	for i, label := range labels {
		if isASCII(label) {
			continue
		}
		if ascii := lookalikeLabel(label); ascii != "" && (len(labels) == 1 || isASCII(labels[len(labels)-1]) || !slices.Equal(scriptsOf(label), home)) {
			labels[i] = ascii
			found = true
		} else if a, err := ToASCII(label); err == nil {
			labels[i] = a
		}
	}
	if !found {
		return ""
	}
	return strings.Join(labels, ".")
}

func lookalikeLabel(label string) string {
	var b strings.Builder
	for _, r := range label {
		if r < utf8.RuneSelf {
			b.WriteByte(byte(r))
			continue
		}
		c, ok := prototypes()[confusable.Skeleton(string(r))]
		if !ok {
			return ""
		}
		b.WriteByte(c)
	}
	return b.String()
}
