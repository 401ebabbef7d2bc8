package lists

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func wire(tb testing.TB, text string) []byte {
	tb.Helper()
	name, ok := AppendName(nil, []byte(text))
	if !ok {
		tb.Fatalf("%q is no name", text)
	}
	return name
}

func write(tb testing.TB, dir, name, text string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		tb.Fatal(err)
	}
	return path
}

func open(tb testing.TB, o BlockOptions) *Blocklist {
	tb.Helper()
	b, err := NewBlocklist(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.Open(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

const (
	typeA     = 1
	typeAAAA  = 28
	typeHTTPS = 65
)

// TestForms holds what each form of a line means for some names.
func TestForms(t *testing.T) {
	for _, tt := range []struct {
		rules string
		block string // these are blocked
		pass  string // these are not
	}{
		{"0.0.0.0 ads.test", "ads.test", "x.ads.test test adsx.test"},
		{"127.0.0.1\tads.test  b.test # c.test", "ads.test b.test", "c.test"},
		{":: a.test\n::1 b.test\n0.0.0.0 c.test#d\n127.1.2.3 d.test\n::ffff:127.0.0.1 e.test", "a.test b.test c.test d.test e.test", ""},
		{"ads.test", "ads.test", "x.ads.test"},
		{"ADS.Test. # why", "ads.test", ""},
		{"a.test # costs 5$ ^ and\n||b.test^ # b##c\nc.test\t#", "a.test b.test x.b.test c.test", ""},
		{"*.ads.test", "ads.test x.ads.test y.x.ads.test", "test xads.test"},
		{".zip", "zip x.zip", "zip.test"},
		{"||ads.test^", "ads.test x.ads.test", "ads.test.example xads.test"},
		{"||ads.test", "ads.test x.ads.test", ""},
		{"||ads.test^*", "ads.test x.ads.test", ""},
		{"||ads.test|", "ads.test x.ads.test", ""},
		{"|ads.test^", "ads.test", "x.ads.test"},
		{"||*.ads.test^", "x.ads.test y.x.ads.test", "ads.test"},
		{"*.ads.test^", "x.ads.test ads.test", ""},
		{"||test^\n@@||good.test^", "x.test test", "good.test x.good.test"},
		{"@@||good.test^\n||good.test^", "", "good.test"},
		{"||test^\n@@|good.test^", "x.good.test", "good.test"},
		{"||bad.good.test^\n@@||good.test^", "", "bad.good.test"},
		{"||bad.test^$important\n@@||bad.test^\n@@||test^", "bad.test x.bad.test", "test"},
		{"||bad.test^$important\n@@||fine.bad.test^$important", "bad.test", "fine.bad.test"},
		{"||a.test^\n||b.test^\n||a.test^$badfilter", "b.test", "a.test"},
		{"||a.test^$badfilter\n|a.test^", "a.test", "x.a.test"},
		{"||a.test^$important\n||a.test^$badfilter", "a.test", ""},
		{"||a.test^$important\n||a.test^$badfilter,important", "", "a.test"},
		{"||a.test^$dnstype=AAAA\n||a.test^$badfilter,dnstype=AAAA", "", "a.test"},
		{"||a.test^$all\n||b.test^$document\n||c.test^$doc,_____", "a.test b.test c.test", ""},
		{"||a.test^$dnstype=A|HTTPS\n||b.test^$dnstype=~A\n||c.test^$dnstype=TYPE1", "a.test c.test", "b.test"},
		{"||a.test^$denyallow=b.a.test|c.a.test", "a.test x.a.test", "b.a.test x.b.a.test c.a.test"},
		{"bücher.test\n||faß.test^", "xn--bcher-kva.test x.xn--fa-hia.test", ""},
		{"_dmarc.a_b.test", "_dmarc.a_b.test", ""},
		{"! a.test\n# b.test\n; c.test\n[Adblock Plus 2.0]", "", "a.test b.test c.test"},
		{"\xef\xbb\xbfa.test\r\nb.test\r\n", "a.test b.test", ""},
		{"", "", "a.test"},
	} {
		b, err := NewBlocklist(BlockOptions{Rules: tt.rules})
		if err != nil {
			t.Errorf("%q: %v", tt.rules, err)
			continue
		}
		for _, name := range strings.Fields(tt.block) {
			if m := b.Match(wire(t, name), typeA); m.Action != Block {
				t.Errorf("%q: %s is not blocked: %v", tt.rules, name, m)
			}
		}
		for _, name := range strings.Fields(tt.pass) {
			if m := b.Match(wire(t, name), typeA); m.Action == Block {
				t.Errorf("%q: %s is blocked: %v", tt.rules, name, m)
			}
		}
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	for text, want := range map[string]Reason{
		"a.test b.test":                            NotUnderstood,
		"<html>":                                   NotUnderstood,
		"a..test":                                  NotUnderstood,
		strings.Repeat("a", 64) + ".test":          NotUnderstood,
		strings.Repeat("a.", 127) + "test":         NotUnderstood,
		"||a.test^$dnstype=NOPE":                   NotUnderstood,
		strings.Repeat("x", 70<<10):                TooLong,
		"127.0.0.1 localhost":                      OfTheMachine,
		"fe80::1%lo0 localhost":                    OfTheMachine,
		"ff02::1 ip6-allnodes":                     OfTheMachine,
		"192.0.2.1 nas.test":                       RealAddress,
		"0.0.0.0 0.0.0.0":                          IsAddress,
		"192.0.2.1":                                IsAddress,
		"||192.0.2.1^":                             IsAddress,
		"a.test##.banner":                          Cosmetic,
		"a.test#@#.banner":                         Cosmetic,
		"a.test#%#//scriptlet('x')":                Cosmetic,
		"a.test$$script":                           Cosmetic,
		"a.test ##.banner":                         Cosmetic,
		"a.test #$#body {}":                        Cosmetic,
		"[$path=/x]a.test##.banner":                Cosmetic,
		"||a.test/ads/^":                           PartOfURL,
		"||a.test^ads":                             PartOfURL,
		"|https://a.test^":                         PartOfURL,
		"&ad_box=":                                 PartOfURL,
		"address=/a.test/0.0.0.0":                  PartOfURL,
		"/^ads[0-9]+/":                             Expression,
		"@@/ads/$important":                        Expression,
		"||ads*.test^":                             Wildcard,
		"ads.*":                                    Wildcard,
		"||a.*^":                                   Wildcard,
		"*$denyallow=a.test":                       Wildcard,
		"||a.test^$third-party":                    OtherModifier,
		"||a.test^$script,important":               OtherModifier,
		"@@||a.test^$document":                     OtherModifier,
		"||a.test^$,":                              OtherModifier,
		"||a.test^$client=192.0.2.1":               ClientModifier,
		"||a.test^$dnsrewrite=NOERROR;A;192.0.2.1": RewriteModifier,
	} {
		l := new(list)
		r := ruleReader{list: l}
		if err := r.read(t.Context(), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		left, n := l.all()
		if n != 1 || left[0].Reason != want || left[0].Line != 1 || l.rules != 0 {
			t.Errorf("%.40q: %+v, %d rules, want %v", text, left, l.rules, want)
		}
		if _, err := NewBlocklist(BlockOptions{Rules: text}); err == nil || !strings.Contains(err.Error(), want.String()) {
			t.Errorf("%.40q as an own rule: %v, want %v", text, err, want)
		}
	}
}

func TestConditionsAskForTheType(t *testing.T) {
	b := open(t, BlockOptions{Rules: "||a.test^$dnstype=AAAA|HTTPS\n||b.test^$dnstype=~A\n@@||x.b.test^$dnstype=HTTPS"})
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  Action
	}{
		{"a.test", typeA, None}, {"a.test", typeAAAA, Block}, {"x.a.test", typeHTTPS, Block},
		{"b.test", typeA, None}, {"b.test", typeAAAA, Block}, {"x.b.test", typeHTTPS, Allow}, {"x.b.test", typeAAAA, Block},
	} {
		if m := b.Match(wire(t, tt.name), tt.qtype); m.Action != tt.want {
			t.Errorf("%s type %d: %v, want %v", tt.name, tt.qtype, m, tt.want)
		}
	}
}

func TestTheMatchNamesListLineAndRule(t *testing.T) {
	dir := t.TempDir()
	one := write(t, dir, "one.txt", "# first\n\n0.0.0.0 a.test\n||b.test^\n")
	two := write(t, dir, "two.txt", "||a.test^\n||c.test^$dnstype=A\n||d.test^$important,dnstype=A\n||*.e.test^\n")
	allowed := write(t, dir, "allow.txt", "# mine\nb.test\n")
	b := open(t, BlockOptions{Files: []string{one, two}, AllowFiles: []string{allowed}, Rules: "own.test"})
	for name, want := range map[string]string{
		"a.test":     "one.txt:3 |a.test^",
		"x.a.test":   "two.txt:1 ||a.test^",
		"b.test":     "allow.txt:2 @@|b.test^",
		"x.b.test":   "one.txt:4 ||b.test^",
		"c.test":     "two.txt:2 ||c.test^$dnstype=A",
		"d.test":     "two.txt:3 ||d.test^$important,dnstype=A",
		"x.e.test":   "two.txt:4 ||*.e.test^",
		"own.test":   "configuration:1 |own.test^",
		"x.own.test": "no rule",
	} {
		if m := b.Match(wire(t, name), typeA); m.String() != want {
			t.Errorf("%s: %v, want %s", name, m, want)
		}
	}
	st := b.Status()
	if st.Generation == 0 || st.Generation != b.Generation() || len(st.Files) != 3 || st.Files[1].Type != "adblock" || st.Records != 7 {
		t.Errorf("%+v", st)
	}
	if ls := b.Lists(); len(ls) != 3 || ls[0].Path != one || ls[0].Rules != 2 || b.Set().Len() != 8 {
		t.Errorf("%+v, %d rules", ls, b.Set().Len())
	}
}

func TestSubdomains(t *testing.T) {
	b := open(t, BlockOptions{Subdomains: true, Rules: "a.test\n0.0.0.0 b.test\n|c.test^"})
	for name, want := range map[string]Action{"x.a.test": Block, "x.b.test": Block, "x.c.test": None, "c.test": Block} {
		if m := b.Match(wire(t, name), typeA); m.Action != want {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestRulesOfOneNameAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		text.WriteString("||a.test^$denyallow=x" + strings.Repeat("y", i%50) + strings.Repeat(".z", i/50) + "\n")
	}
	b := open(t, BlockOptions{Rules: text.String()})
	if n := b.Set().Len(); n != maxPerName || b.Set().crowded != 5000-maxPerName {
		t.Errorf("%d rules, %d left out", n, b.Set().crowded)
	}
}

func TestNoNames(t *testing.T) {
	b := open(t, BlockOptions{Rules: "||test^"})
	for _, name := range []string{"", "\x00", "\x04test", "\x04test\x00x", "\x05test\x00", "\x40", "\xc0\x0c", strings.Repeat("\x01a", 128) + "\x00"} {
		if m := b.Match([]byte(name), typeA); m.Action != None {
			t.Errorf("%q: %v", name, m)
		}
	}
	long := []byte(strings.Repeat("\x01a", 124) + "\x04test\x00")
	if m := b.Match(long, typeA); m.Action != Block {
		t.Errorf("a name of %d bytes: %v", len(long), m)
	}
	if m := open(t, BlockOptions{Rules: ".c" + strings.Repeat(".b", 70)}).Match(wire(t, "a.c"+strings.Repeat(".b", 70)), typeA); m.Action != Block {
		t.Errorf("a rule of 71 labels: %v", m)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

func TestHot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list.gz")
	b := open(t, BlockOptions{Files: []string{filepath.Join(dir, "*.gz"), filepath.Join(dir, "*.txt")}, Poll: 20 * time.Millisecond})
	blocked := func(name string) bool { return b.Match(wire(t, name), typeA).Action == Block }
	if blocked("a.test") {
		t.Error("blocked by no list")
	}
	writeGzip(t, path, "||a.test^\n")
	until(t, "a list that comes", func() bool { return blocked("a.test") })
	writeGzip(t, path, "||b.test^\n")
	until(t, "a list that changes", func() bool { return blocked("b.test") && !blocked("a.test") })
	generation := b.Generation()
	for _, broken := range []string{"<!DOCTYPE html>\n<p>Not found</p>\n", "", "/only/paths\n", "# fine\nwhat is this\nand this\nx.test\n"} {
		write(t, dir, "list.gz", broken)
		before := b.Status().ErrorTime
		until(t, "a refusal", func() bool { return b.Status().ErrorTime.After(before) })
		if !blocked("b.test") || b.Generation() != generation {
			t.Errorf("%q took the list's place", broken)
		}
	}
	write(t, dir, "more.txt", "@@||b.test^\n")
	until(t, "an exception of another list", func() bool { return !blocked("b.test") })
	write(t, dir, "more.txt", "# nothing\n")
	until(t, "a list with nothing in it", func() bool { return blocked("b.test") })
}

func writeGzip(t *testing.T, path, text string) {
	t.Helper()
	var b strings.Builder
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(path), filepath.Base(path), b.String())
}
