package enrich

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"Ünïcödé 例え", "Ünïcödé 例え"},
		{"a\r\nb", "a b"},
		{"a\t\n\tb\n", "a b"},
		{"\na", "a"},
		{"a\x00b\x1b[31mc\x7fd", "ab[31mcd"},
		{"a\u0080b\u009fc\u0085d", "abcd"},
		{"a\xffb", "a\uFFFDb"},
		{"a\xff\xfe\x1bb", "a\uFFFDb"},
		{"\u00a0a", "\u00a0a"},
	} {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\r\n\x1bb\xff\u0085")
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		if strings.ContainsFunc(out, unicode.IsControl) || !utf8.ValidString(out) {
			t.Fatalf("%q: %q has control characters", in, out)
		}
		if again := Clean(out); again != out {
			t.Fatalf("%q: %q is cleaned to %q", in, out, again)
		}
	})
}

func TestBuilder(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	o := &Origin{Source: "test", Name: "test.db", Built: built}
	f := NewBuilder(o).
		Field("as_name", "Example\nNetworks").
		Add(Field{Key: "n", Value: "1.5e3", Type: Number}).
		Add(Field{Key: "inf", Value: "+Inf", Type: Number}).
		Add(Field{Key: "yes", Value: "true", Type: Bool}).
		Add(Field{Key: "maybe", Value: "perhaps", Type: Bool}).
		Canonical(ASName, "", "Example\nNetworks").
		Canonical(ASName, "the second is not heard").
		Canonical(NameServers, "", "a.example.org", "\x00", "b.example.org").
		Canonical(Rank, "").
		Canonical(None, "nobody").
		Verbatim("as it is\r\n").
		Build()
	want := []Field{
		{Key: "as_name", Value: "Example Networks"},
		{Key: "n", Value: "1.5e3", Type: Number},
		{Key: "inf", Value: "+Inf"},
		{Key: "yes", Value: "true", Type: Bool},
		{Key: "maybe", Value: "perhaps"},
	}
	if !slices.Equal(f.Fields(), want) {
		t.Errorf("fields %+v, want %+v", f.Fields(), want)
	}
	for _, k := range append(Keys(), None) {
		want := map[Key]string{ASName: "Example Networks", NameServers: "a.example.org\nb.example.org"}[k]
		if got := f.Value(k); got != want {
			t.Errorf("%v: %q, want %q", k, got, want)
		}
	}
	if f.Origin() != o || f.Special() || f.Verbatim() != "as it is\r\n" || !f.AsOf().Equal(built) {
		t.Errorf("origin %v special %v verbatim %q as of %v", f.Origin(), f.Special(), f.Verbatim(), f.AsOf())
	}
	fetched := built.Add(36 * time.Hour)
	if got := NewBuilder(o).AsOf(fetched).Build().AsOf(); !got.Equal(fetched) {
		t.Errorf("as of %v, want %v", got, fetched)
	}
	if got := NewBuilder(&Origin{}).Build().AsOf(); !got.IsZero() {
		t.Errorf("as of %v where nothing says when", got)
	}
}

func TestForms(t *testing.T) {
	taken := forms.Swap(0)
	t.Cleanup(func() { forms.Store(taken) })
	one, two := NewForm(), NewForm()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a third form was given out")
			}
		}()
		NewForm()
	}()
	f := fragment("test", "k", "v")
	calls := 0
	render := func(as string) func([]byte, *Fragment) []byte {
		return func(dst []byte, f *Fragment) []byte {
			calls++
			return append(append(dst, as...), f.Fields()[0].Value...)
		}
	}
	for range 3 {
		if a, b := string(f.Form(one, render("1:"))), string(f.Form(two, render("2:"))); a != "1:v" || b != "2:v" {
			t.Errorf("rendered %q and %q", a, b)
		}
	}
	if calls != 2 {
		t.Errorf("rendered %d times, want once a form", calls)
	}
	if b := f.Form(one, render("1:")); cap(b) != len(b) {
		t.Error("what is appended to a rendered form is written into it")
	}

	// What a source worked out for one query is not kept: Set may add to it.
	var r Record
	r.Reset(Subject{})
	r.Set("k", "v")
	volatile := r.Parts()[0].Fragment
	calls = 0
	volatile.Form(one, render("1:"))
	volatile.Form(one, render("1:"))
	if calls != 2 {
		t.Errorf("a volatile fragment was rendered %d times, want 2", calls)
	}
}
