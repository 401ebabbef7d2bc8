package enrich

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/whence-project/whence/internal/testenv"
)

func TestParseSubject(t *testing.T) {
	for _, tt := range accepted {
		got, err := ParseSubject(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if got.Kind() != tt.kind || got.String() != tt.want {
			t.Errorf("%q: %v %q, want %v %q", tt.in, got.Kind(), got, tt.kind, tt.want)
		}
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	for _, tt := range refused {
		got, err := ParseSubject(tt.in)
		var se *SubjectError
		if !errors.As(err, &se) {
			t.Errorf("%q: %v %q and error %v, want refused", tt.in, got.Kind(), got, err)
			continue
		}
		if !strings.Contains(se.Reason, tt.reason) {
			t.Errorf("%q: reason %q, want %q in it", tt.in, se.Reason, tt.reason)
		}
		if got.IsValid() {
			t.Errorf("%q: refused, and yet %v", tt.in, got)
		}
		if msg := err.Error(); msg != Clean(msg) || len(msg) > 400 {
			t.Errorf("%q: message %q is long or has control characters", tt.in, msg)
		}
	}
}

func TestSubjectErrorShowsInputSafely(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00\x1b[2J":                    `a\x00\x1b[2J`,
		"\xff":                            `\xff`,
		"ab\u202e c":                      `ab\u202e c`,
		strings.Repeat("ab ", 100):        strings.Repeat("ab ", 21) + "a…",
		strings.Repeat("x", 63) + "ü ü ü": strings.Repeat("x", 63) + "…",
	} {
		_, err := ParseSubject(in)
		var se *SubjectError
		if !errors.As(err, &se) || se.Input != want {
			t.Errorf("%q: %+v, want input %q", in, err, want)
		}
	}
}

func TestParseSubjects(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"8.8.8.8", "8.8.8.8"},
		{"example.org", "example.org"},
		{"1.1.1.0 - 1.1.1.255", "1.1.1.0/24"},
		{"1.1.1.0–1.1.1.255", "1.1.1.0/24"},
		{"1.1.1.1-1.1.1.4", "1.1.1.1 1.1.1.2/31 1.1.1.4"},
		{"1.1.1.1-4", "1.1.1.1 1.1.1.2/31 1.1.1.4"},
		{"1[.]1[.]1[.]1-4", "1.1.1.1 1.1.1.2/31 1.1.1.4"},
		{`"1.1.1.1-1"`, "1.1.1.1"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
		{"255.255.255.254-255.255.255.255", "255.255.255.254/31"},
		{"2001:db8::1-2001:db8::4", "2001:db8::1 2001:db8::2/127 2001:db8::4"},
		{"[2001:db8::]-[2001:db8::ffff]", "2001:db8::/112"},
		{":: - ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"::ffff:1.1.1.0-1.1.1.255", "1.1.1.0/24"},
	} {
		ss, err := ParseSubjects(tt.in)
		var got []string
		for _, s := range ss {
			got = append(got, s.String())
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "1.1.1.4-1", "1.1.1.1-2001:db8::1", "1.1.1.1-256", "1.1.1.1 to 1.1.1.4"} {
		if ss, err := ParseSubjects(in); err == nil {
			t.Errorf("%q: %v, want refused", in, ss)
		}
	}
}

// The range that needs most prefixes has one for each bit of its start and of its end.
func TestWidestRangeIsWithinMaxRange(t *testing.T) {
	for in, want := range map[string]int{
		"0.0.0.1-255.255.255.254":                       62,
		"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe":   254,
		"::3 - ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe": 253,
	} {
		ss, err := ParseSubjects(in)
		if err != nil || len(ss) != want || len(ss) > MaxRange {
			t.Errorf("%s: %d subjects, %v, want %d", in, len(ss), err, want)
		}
		for i := 1; i < len(ss); i++ {
			if end := lastOf(ss[i-1].Prefix()); end.Next() != ss[i].Addr() {
				t.Errorf("%s: %v follows %v", in, ss[i], ss[i-1])
			}
		}
	}
}

// Callers parse views of read buffers, which the next read overwrites.
func TestParseSubjectRetainsNothing(t *testing.T) {
	for _, tt := range accepted {
		buf := []byte(tt.in)
		s, err := ParseSubject(unsafe.String(unsafe.SliceData(buf), len(buf)))
		written := strings.Clone(s.Written())
		clear(buf)
		if err != nil || s.String() != tt.want || s.Written() != written {
			t.Errorf("%q: %q written %q once the buffer is overwritten", tt.in, s, s.Written())
		}
	}
	for _, tt := range refused {
		buf := []byte(tt.in)
		if _, err := ParseSubject(unsafe.String(unsafe.SliceData(buf), len(buf))); err != nil {
			before := strings.Clone(err.Error())
			clear(buf)
			if err.Error() != before {
				t.Errorf("%q: the error became %q", tt.in, err)
			}
		}
	}
}

func TestParseAddressDoesNotAllocate(t *testing.T) {
	for _, in := range []string{"192.0.2.255", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1:80", "10.0.0.0/8", "AS64496"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = ParseSubject(in) }); n != 0 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}

// Every name that is in use is a domain, whatever RFC 1123 says about it. Reverse names are addresses.
func TestParseSubjectOnRealNames(t *testing.T) {
	b, err := os.ReadFile(testenv.Path(t, "dns", "names-33k.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(b))
	for _, file := range []string{"misp-cisco_top20k.json", "misp-tranco10k.json"} {
		b, err := os.ReadFile(testenv.Path(t, "rank", file))
		if err != nil {
			t.Fatal(err)
		}
		var list struct{ List []string }
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		names = append(names, list.List...)
	}
	if len(names) < 60_000 {
		t.Fatalf("%d names, too few to say anything", len(names))
	}
	for _, n := range names {
		if strings.HasSuffix(strings.TrimSuffix(n, "."), ".arpa") {
			continue
		}
		s, err := ParseSubject(n)
		if err != nil || s.Kind() != Domain || !strings.EqualFold(s.String(), strings.TrimSuffix(n, ".")) {
			t.Errorf("%q: %v %q, %v", n, s.Kind(), s, err)
		}
	}
}

func BenchmarkParseSubject(b *testing.B) {
	for _, in := range []string{"192.168.104.219", "2001:db8:85a3::8a2e:370:7334", "www.example.org", "AS64496", "192.0.2.0/24", "no such"} {
		b.Run(in, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseSubject(in)
			}
		})
	}
}
