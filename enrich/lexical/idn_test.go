package lexical

import (
	"math"
	"strings"
	"testing"
)

func TestToUnicode(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		err      error
	}{
		{"example.org", "example.org", nil},
		{"Example.ORG", "example.org", nil},
		{"xn--mller-kva.de", "müller.de", nil},
		{"www.XN--MLLER-KVA.de", "www.müller.de", nil},
		{"xn--e1afmkfd.xn--p1ai", "пример.рф", nil},
		{"xn--yutube-wqf.com", "y\u043eutube.com", nil},
		{"xn--fiq228c.example", "中文.example", nil},
		{"", "", nil},
		{"xn--", "xn--", errPunycode},
		{"xn--a.example", "xn--a.example", errHidden},               // a control character
		{"xn--example-376c.com", "xn--example-376c.com", errHidden}, // turns the direction of writing
		{"xn--ab-g1t.com", "xn--ab-g1t.com", errHidden},             // a space of no width
		{"xn--\x00.example", "xn--\x00.example", errPunycode},
		{"xn--abc-.example", "xn--abc-.example", errPunycode}, // ASCII has none
		{"xn--99999999999.example", "xn--99999999999.example", errPunycode},
		{"xn--om-wjc.example", "\u0421om.example", errUnfit}, // a capital
		{"xn--m-5hn.example", "m\u2024.example", errUnfit},   // a character that is mapped to another
		{"xn--fa-hia.de", "faß.de", nil},
	} {
		got, err := ToUnicode(tt.in)
		if err != tt.err || got != tt.want {
			t.Errorf("%s: %+q %v, want %+q %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestHasALabel(t *testing.T) {
	for in, want := range map[string]bool{
		"xn--a.org": true, "www.xn--a.org": true, "example.xn--p1ai": true, "axn--b.org": false, "axn--b.xn--c": true, "example.org": false, "": false,
	} {
		if got := hasALabel(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		label, scripts string
		usual          bool
	}{
		{"example", "Latin", true},
		{"müller-24", "Latin", true},
		{"123", "", true},
		{"пример", "Cyrillic", true},
		{"y\u043eutube", "Cyrillic Latin", false},
		{"αlpha", "Greek Latin", false},
		{"日本語テスト", "Han Katakana", true},
		{"コーヒー", "Katakana", true}, // the long sound mark is common to two scripts
		{"docomoのケータイ", "Hiragana Katakana Latin", true},
		{"中文ㄅ", "Bopomofo Han", true},
		{"漢字한글a", "Han Hangul Latin", true},
		{"かな한글", "Hangul Hiragana", false},
		{"日本я", "Cyrillic Han", false},
		{"ⴰⴱⴳ", "Tifinagh", true},
	} {
		got := scriptsOf(tt.label)
		if strings.Join(got, " ") != tt.scripts || usualTogether(got) != tt.usual {
			t.Errorf("%s: %q %v, want %q %v", tt.label, got, usualTogether(got), tt.scripts, tt.usual)
		}
	}
}

func TestLookalike(t *testing.T) {
	for in, want := range map[string]string{
		"example.org":                        "",
		"y\u043eutube.com":                   "youtube.com",
		"\u0430\u0440\u0440\u04cf\u0435.com": "apple.com",
		"www.g\u03bf\u043egle.com":           "www.google.com",
		"\u0585nline.example":                "online.example", // Armenian
		"pa\u0443pal.com":                    "paypal.com",
		"m\u0456cr\u043es\u043eft.com":       "microsoft.com",
		"\u0261oo\u0261le.com":               "google.com", // Latin, script g
		"müller.de":                          "",           // the dots are seen
		"中文.example":                         "",
		"пример.рф":                          "",
		"\u0441\u043e\u0440.com":             "cop.com",
		"\u0441\u043e\u0440.рф":              "", // Cyrillic under Cyrillic
		"\u0441\u043e\u0440.müller.de":       "cop.xn--mller-kva.de",
		"g\u043e\u043egle":                   "google",
		"":                                   "",
	} {
		if got := lookalike(in); got != want {
			t.Errorf("%+q: %q, want %q", in, got, want)
		}
	}
}

func TestShannon(t *testing.T) {
	for _, tt := range []struct {
		label   string
		length  int
		entropy float64
	}{
		{"", 0, 0},
		{"aaaa", 4, 0},
		{"ab", 2, 1},
		{"abcd", 4, 2},
		{"aabc", 4, 1.5},
		{"müm", 3, 0.9183},
		{"пп", 2, 0},
		{"0123456789abcdef", 16, 4},
	} {
		if n, e := shannon(tt.label); n != tt.length || round4(e) != tt.entropy || math.Signbit(e) {
			t.Errorf("%s: %d %v, want %d %v", tt.label, n, e, tt.length, tt.entropy)
		}
	}
}

func TestLastLabels(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		want string
	}{{"a.b.c", 2, "b.c"}, {"a.b.c", 3, "a.b.c"}, {"a.b.c", 4, "a.b.c"}, {"a.b.c", 1, "c"}, {"a", 1, "a"}, {"", 1, ""}} {
		if got := lastLabels(tt.name, tt.n); got != tt.want {
			t.Errorf("%s, %d: %q, want %q", tt.name, tt.n, got, tt.want)
		}
	}
}

func FuzzToUnicode(f *testing.F) {
	for _, s := range []string{"example.org", "xn--mller-kva.de", "xn--e1afmkfd.xn--p1ai", "xn--", "xn--a-.b", "ü.xn--p1ai", ".", "\xff.xn--\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		u, err := ToUnicode(name)
		if strings.Count(u, ".") != strings.Count(strings.ToLower(name), ".") {
			t.Fatalf("%q: %q has other labels (%v)", name, u, err)
		}
		i := idnOf(name)
		if i.looks != "" && !isASCII(i.looks) {
			t.Fatalf("%q looks like %q", name, i.looks)
		}
		if i.mixed && len(i.scripts) < 2 {
			t.Fatalf("%q mixes %q", name, i.scripts)
		}
	})
}
