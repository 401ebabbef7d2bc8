package enrich

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAppendJSON(t *testing.T) {
	origin := &Origin{Source: "mmdb", Name: "lite.mmdb", Built: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	full := NewBuilder(origin).
		Add(Field{Key: "as_name", Value: "Example \"Networks\"", Canon: ASName}).
		Add(Field{Key: "asn", Value: "AS64496", Canon: ASN}).
		Add(Field{Key: "score", Value: "-1.5e3", Type: Number}).
		Add(Field{Key: "ratio", Value: "NaN", Type: Number}).
		Add(Field{Key: "hosting", Value: "true", Type: Bool}).
		Add(Field{Key: "tags", Value: "a", List: true}).
		Add(Field{Key: "tags", Value: "2", List: true, Type: Number}).
		Add(Field{Key: "empty", Value: "", Type: Number}).
		Canonical(ASN, "AS64496").Canonical(ASName, "Example \"Networks\"").Build()
	special := NewBuilder(&Origin{Source: "iana", Name: "iana"}).Field("block", "Documentation").Special().Build()
	for _, tt := range []struct {
		name, subject string
		add           func(r *Record)
		want          string
	}{
		{"nothing", "example.org", func(*Record) {}, `{"subject":"example.org","kind":"domain","sources":[]}`},
		{"a name to be escaped", `"a\b"c\"`, func(*Record) {}, `{"subject":"a\\b\"c\\","kind":"name","sources":[]}`},
		{"as", "AS64496", func(*Record) {}, `{"subject":"AS64496","kind":"as","sources":[]}`},
		{"fields in order, canonical first", "8.8.8.8", func(r *Record) { r.Attach(full, prefix("8.8.8.0/24")) },
			`{"subject":"8.8.8.8","kind":"address","network":"8.8.8.0/24","asn":"AS64496","as_name":"Example \"Networks\"","sources":[` +
				`{"source":"mmdb","name":"lite.mmdb","as_of":"2026-11-01T00:00:00Z","fields":{"as_name":"Example \"Networks\"",` +
				`"asn":"AS64496","score":-1.5e3,"ratio":"NaN","hosting":true,"tags":["a",2],"empty":""}}]}`},
		{"suppressed", "2001:db8::/32", func(r *Record) {
			r.Attach(special, prefix("2001:db8::/32"))
			r.link = "mmdb"
			r.Attach(fragment("mmdb", "asn", "AS64496", "owner", "Example", "country", "Example"), netip.Prefix{})
		}, `{"subject":"2001:db8::/32","kind":"prefix","network":"2001:db8::/32","sources":[` +
			`{"source":"mmdb","name":"iana","fields":{"block":"Documentation"}},{"source":"mmdb","fields":{"owner":"Example"}}]}`},
		{"lists, ranks and notes", "example.org", func(r *Record) {
			r.Set("name_servers", "a.example.org", "b.example.org")
			r.Set("status", "active")
			r.Set("rank", "17")
			r.Note(Throttled, "asked to wait 5 s")
			r.Note(Failed, `no "answer"`)
		}, `{"subject":"example.org","kind":"domain","name_servers":["a.example.org","b.example.org"],"status":["active"],"rank":17,` +
			`"sources":[{"source":"mmdb","fields":{"name_servers":["a.example.org","b.example.org"],"status":"active","rank":"17"}}],` +
			`"notes":[{"source":"mmdb","kind":"throttled","text":"asked to wait 5 s"},` +
			`{"source":"mmdb","kind":"failed","text":"no \"answer\""}]}`},
		{"a text without fields", "example.org", func(r *Record) {
			r.Attach(NewBuilder(&Origin{Source: "records", Name: "example.org"}).Verbatim("Ours.\r\n").Build(), netip.Prefix{})
		}, `{"subject":"example.org","kind":"domain","sources":[{"source":"mmdb","name":"example.org","fields":{},"text":"Ours.\u000d\u000a"}]}`},
		{"a rank that is none", "example.org", func(r *Record) { r.Attach(fragment("x", "rank", "first"), netip.Prefix{}) },
			`{"subject":"example.org","kind":"domain","rank":"first","sources":[{"source":"mmdb","name":"x","fields":{"rank":"first"}}]}`},
	} {
		var r Record
		r.Reset(subject(t, tt.subject))
		r.link = "mmdb"
		tt.add(&r)
		got := string(r.AppendJSON([]byte("> ")))
		if got != "> "+tt.want {
			t.Errorf("%s:\ngot  %s\nwant > %s", tt.name, got, tt.want)
		}
		if !json.Valid([]byte(tt.want)) {
			t.Errorf("%s: not JSON", tt.name)
		}
	}
}

func TestIsJSONNumber(t *testing.T) {
	for _, ok := range []string{"0", "7", "-7", "1.5", "1e9", "1E-9", "18446744073709551616"} {
		if !IsJSONNumber(ok) {
			t.Errorf("%q is a number", ok)
		}
	}
	for _, no := range []string{"", "-", "+1", "01", "1.", ".5", "0x1", "NaN", "Inf", "-Inf", "null", "true", `"1"`, "1 ", "[1]", "1,2"} {
		if IsJSONNumber(no) {
			t.Errorf("%q is no number", no)
		}
	}
}

// Strings come out as encoding/json reads them back.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c", "\x00\x1f\x7f", "\u2028\u2029\u2027", "ü例\U00010348", "\xff\xc3", "a\xed\xa0\x80b", "\uFFFD"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := AppendJSONString(nil, in)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %s: %v", in, out, err)
		}
		reference, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(reference, &want); err != nil {
			t.Fatal(err)
		}
		if back != want || strings.ContainsAny(string(out), "\r\n\u2028\u2029") {
			t.Fatalf("%q: %s is read as %q, want %q", in, out, back, want)
		}
	})
}

// A record of nasty text is JSON all the same, and says what was put in.
func FuzzAppendJSON(f *testing.F) {
	f.Add("key", "value", "x")
	f.Add("\"\\\x00", "\u2028\xff\n", "\x1b[31m")
	f.Add("rank", "1e999", "-0")
	f.Fuzz(func(t *testing.T, key, value, number string) {
		var r Record
		r.Reset(DomainOf("example.org"))
		r.link = "s"
		b := NewBuilder(&Origin{Source: key, Name: value}).Canonical(Rank, number).Canonical(NameServers, key, value, number)
		b.Add(Field{Key: key, Value: value}).Add(Field{Key: "n-" + key, Value: number, Type: Number})
		r.Attach(b.Build(), netip.Prefix{})
		r.Note(Info, value)
		out := r.AppendJSON(nil)
		var back struct {
			Sources []struct{ Fields map[string]any }
			Notes   []struct{ Text string }
		}
		if err := json.Unmarshal(out, &back); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
			t.Fatalf("%s: %v", out, err)
		} else if err != nil {
			return // a number beyond float64 is JSON
		}
		if got := back.Notes[0].Text; got != Clean(value) {
			t.Fatalf("%s: note %q, want %q", out, got, Clean(value))
		}
		if got := back.Sources[0].Fields[Clean(key)]; !reflect.DeepEqual(got, any(Clean(value))) {
			t.Fatalf("%s: field %q, want %q", out, got, Clean(value))
		}
	})
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	var r Record
	r.Reset(subject(t, "192.0.2.1"))
	r.link = "mmdb"
	r.Attach(NewBuilder(&Origin{Source: "mmdb", Name: "lite.mmdb", Built: time.Unix(1e9, 0)}).
		Field("as_name", "Ünïcödé \"Networks\"").
		Canonical(ASN, "AS64496").Canonical(NameServers, "a.example.org", "b.example.org").Canonical(Rank, "17").
		Build(), prefix("192.0.2.0/24"))
	r.Note(Info, "noted")
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = r.AppendJSON(buf[:0]) }); n != 0 || len(buf) == 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	r.Reset(DomainOf("example.org"))
	if n := testing.AllocsPerRun(100, func() { buf = r.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("a domain: %v allocations, want 0", n)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	var r Record
	r.Reset(subject(b, "192.0.2.1"))
	r.link = "mmdb"
	r.Attach(fragment("mmdb", "asn", "AS64496", "as_name", "Example Networks", "country_code", "DE", "country", "Germany"), prefix("192.0.2.0/24"))
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
}
