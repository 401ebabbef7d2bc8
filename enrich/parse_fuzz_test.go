package enrich

import (
	"errors"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What was parsed is written in a form that is parsed to the same again, and nothing that is shown has control characters.
func FuzzParseSubject(f *testing.F) {
	for _, tt := range accepted {
		f.Add(tt.in)
	}
	for _, tt := range refused {
		f.Add(tt.in)
	}
	f.Add("1.1.1.1-1.1.1.4")
	f.Add("１.1.1.1-４")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseSubject(in)
		if err != nil {
			var se *SubjectError
			if !errors.As(err, &se) || s.IsValid() || se.Reason == "" {
				t.Fatalf("%q: %v with error %#v", in, s, err)
			}
			showable(t, in, err.Error())
			return
		}
		text := s.String()
		showable(t, in, text)
		showable(t, in, s.Written())
		again, err := ParseSubject(text)
		if err != nil || again.Key() != s.Key() {
			t.Fatalf("%q: %v %q is parsed to %v %q, %v", in, s.Kind(), text, again.Kind(), again, err)
		}
		ss, err := ParseSubjects(in)
		if err != nil || len(ss) != 1 || ss[0] != s {
			t.Fatalf("%q: %v alone, but %v, %v among several", in, s, ss, err)
		}
	})
}

func FuzzParseSubjects(f *testing.F) {
	for _, in := range []string{"1.1.1.0 - 1.1.1.255", "1.1.1.1-4", "2001:db8::1-2001:db8::ff", "::-::1", "1.1.1.1–1.1.2.9", "example.org"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ss, err := ParseSubjects(in)
		if (err == nil) != (len(ss) > 0) || len(ss) > MaxRange {
			t.Fatalf("%q: %d subjects, %v", in, len(ss), err)
		}
		if err != nil {
			showable(t, in, err.Error())
		}
		for i := 1; i < len(ss); i++ {
			if lastOf(ss[i-1].Prefix()).Next() != ss[i].Addr() {
				t.Fatalf("%q: %v follows %v", in, ss[i], ss[i-1])
			}
		}
	})
}

func showable(t *testing.T, in, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Fatalf("%q: %q is not UTF-8", in, out)
	}
	for _, r := range out {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			t.Fatalf("%q: %q has a control character", in, out)
		}
	}
}
