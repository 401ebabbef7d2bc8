package domainstats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// read is the entries of a history, in short.
func read(form Exchange, history string) (got []string) {
	for e, err := range Entries(iotest.OneByteReader(strings.NewReader(history)), form) {
		if err != nil {
			var bad *EntryError
			got = append(got, fmt.Sprintf("%v (one: %v)", err, errors.As(err, &bad)))
			continue
		}
		s := e.Domain
		if e.Remove {
			s = "-" + s
		}
		for _, at := range []time.Time{e.Created, e.Expires, e.First} {
			if s += "|"; !at.IsZero() {
				s += at.Format("20060102T150405")
			}
		}
		got = append(got, s+"|"+e.Tag)
	}
	return got
}

func TestEntries(t *testing.T) {
	for _, tt := range []struct {
		name string
		form Exchange
		in   string
		want []string
	}{
		{"C's export", ExchangeJSON, `[{"freq_score":[6.2885,7.9696],"seen_by_isc":"top1m","seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","expires":1628049600.0,` +
			`"domain":"sans.org"}, {"seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","seen_by_isc":"RDAP","expires":null,"domain":"Example.ORG",` +
			`"seen_by_you":"Sat, 07 Nov 2020 17:19:49 GMT"},
			{"domain":"x.com","seen_by_web":"ERROR","seen_by_isc":"ERROR","expires":-5}]`,
			[]string{"sans.org|19950804T040000|20210804T040000||top1m", "example.org|19950804T040000||20201107T171949|RDAP", "x.com||||"}},
		{"bad elements", ExchangeJSON, `[{"domain":"a.com"},7,{"domain":1},{},{"domain":"1.2.3"},{"domain":"b.com","seen_by_web":"never"},{"domain":"c.com"}]`,
			[]string{"a.com||||", "2: cannot unmarshal number into Go value of type domainstats.exported (one: true)",
				"3: cannot unmarshal number into Go struct field exported.domain of type string (one: true)", `4: an element without "domain" (one: true)`,
				`5: "1.2.3" is no domain (one: true)`, `6: "never" is no date (one: true)`, "c.com||||"}},
		{"an array that breaks off", ExchangeJSON, `[{"domain":"a.com"},{"dom`, []string{"a.com||||", "element 2, at byte 20: unexpected EOF (one: false)"}},
		{"an array without its end", ExchangeJSON, `[{"domain":"a.com"}`, []string{"a.com||||", "the array does not end: unexpected EOF (one: false)"}},
		{"no array", ExchangeJSON, `{"domain":"a.com"}`, []string{"not a JSON array of domains: unexpected EOF (one: false)"}},
		{"nothing", ExchangeJSON, ``, []string{"not a JSON array of domains: unexpected EOF (one: false)"}},
		{"an empty array", ExchangeJSON, ` [ ] `, nil},
		{"B's feed", ExchangeFeed, "+,sans.org,1995-08-04 04:00:00,2021-08-03 04:00:00\n-,gone.com,x,y\n\n# remark\n+,b.com\r\n+,c.com,2001-02-03,\n",
			[]string{"sans.org|19950804T040000|20210803T040000||LOCAL", "-gone.com||||", "b.com||||LOCAL", "c.com|20010203T000000|||LOCAL"}},
		{"bad lines of a feed", ExchangeFeed, "x\n*,a.com\n+,\n+,a.com,yesterday\n-,b.com",
			[]string{`1: "x": want +,domain,created,expires or -,domain (one: true)`, `2: "*,a.com": want +,domain,created,expires or -,domain (one: true)`,
				`3: "" is no domain (one: true)`, `4: "yesterday" is no date (one: true)`, "-b.com||||"}},
		{"a list", ExchangeList, "\ufeffwww.example.org\n1,sans.org\n 2\t\"example.com\" \n" + strings.Repeat("x", 70000) + "\n" + strings.Repeat("y", 5000) + "\nm\u00fcller.de",
			[]string{"www.example.org||||", "sans.org||||", "example.com||||", "4: longer than 4096 bytes (one: true)", "5: longer than 4096 bytes (one: true)",
				"xn--mller-kva.de||||"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(tt.form, tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
	for e, err := range Entries(iotest.ErrReader(io.ErrClosedPipe), ExchangeList) {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

type registered struct{ created, expires, tag string }

func TestImport(t *testing.T) {
	const history = `[{"domain":"sans.org","seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","seen_by_isc":"top1m","expires":1628049600},
		{"domain":"www.example.org","seen_by_you":"Sat, 07 Nov 2020 17:19:49 GMT"}, {"domain":"printer.internal"}, 1, {"domain":"sans.org"}]`
	for _, tt := range []struct {
		name  string
		opt   ImportOptions
		want  ImportResult
		names string
		reg   registered
	}{
		{"as it is", ImportOptions{}, ImportResult{Entries: 3, Added: 2, Known: 1, Registrations: 1, Bad: 2}, "example.org@20201107 sans.org@",
			registered{"19950804", "20210804", "top1m"}},
		{"without an end", ImportOptions{NeverExpire: true}, ImportResult{Entries: 3, Added: 2, Known: 1, Registrations: 1, Bad: 2},
			"example.org@20201107 sans.org@", registered{"19950804", "00010101", "top1m"}},
		{"full names", ImportOptions{PerName: true, Scope: "x"}, ImportResult{Entries: 3, Added: 2, Known: 1, Registrations: 1, Bad: 2},
			"sans.org@ www.example.org@20201107", registered{"19950804", "20210804", "top1m"}},
		{"names stay new", ImportOptions{KeepNew: true}, ImportResult{Entries: 3, Registrations: 1, Bad: 2}, "", registered{"19950804", "20210804", "top1m"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ledger := openLedger(t, t.TempDir()).Ledger()
			var reg registered
			progress := -1
			tt.opt.Progress = func(n int) { progress = n }
			tt.opt.Registration = func(domain string, created, expires time.Time, tag string) {
				if domain != "sans.org" {
					t.Errorf("registration of %s", domain)
				}
				reg = registered{created.Format("20060102"), expires.Format("20060102"), tag}
			}
			got, err := Import(t.Context(), ledger, strings.NewReader(history), tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Errors) != 2 || got.Errors[0].Position != 3 {
				t.Errorf("errors %v", got.Errors)
			}
			got.Errors = nil
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || reg != tt.reg || progress != got.Entries {
				t.Errorf("%+v, %v, progress %d; want %+v, %v", got, reg, progress, tt.want, tt.reg)
			}
			scope := tt.opt.Scope
			if scope == "" {
				scope = DefaultScope
			}
			if names := namesOf(t, ledger, scope); names != tt.names {
				t.Errorf("the ledger has %q, want %q", names, tt.names)
			}
		})
	}
}

func namesOf(t *testing.T, ledger store.Ledger, scope string) string {
	t.Helper()
	var names []string
	for s, err := range ledger.All(t.Context(), scope, "") {
		if err != nil {
			t.Fatal(err)
		}
		at := ""
		if !s.First.IsZero() {
			at = s.First.Format("20060102")
		}
		names = append(names, s.Name+"@"+at)
	}
	return strings.Join(names, " ")
}

// What is imported is no first contact; what a feed removes is one again; what comes last in it holds.
func TestImportedIsKnown(t *testing.T) {
	a := newAPI(t, nil)
	res, err := Import(t.Context(), a.opt.Ledger, strings.NewReader("+,a.com\n+,b.com\n-,a.com\n+,c.com\n-,c.com\n+,c.com\n-,none.com\n"), ImportOptions{Form: ExchangeFeed})
	if err != nil || res.Entries != 7 || res.Added != 4 || res.Removed != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	for name, want := range map[string]bool{"a.com": true, "b.com": false, "c.com": false} {
		if got := strings.Contains(get(t, a, "/"+name), firstContact); got != want {
			t.Errorf("%s is a first contact: %v", name, got)
		}
	}
}

func TestImportEnds(t *testing.T) {
	s := openLedger(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, s.Ledger(), strings.NewReader("a.com\n"), ImportOptions{Form: ExchangeList}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("a.com\nb.com\n"), iotest.ErrReader(io.ErrClosedPipe))
	res, err := Import(t.Context(), s.Ledger(), broken, ImportOptions{Form: ExchangeList})
	if !errors.Is(err, io.ErrClosedPipe) || res.Added != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	s.Close()
	if _, err := Import(t.Context(), s.Ledger(), strings.NewReader("a.com\n"), ImportOptions{Form: ExchangeList}); err == nil {
		t.Error("a ledger that is closed")
	}
}

// What one exports another imports, with when each name was first seen.
func TestExport(t *testing.T) {
	a := newAPI(t, nil)
	for _, name := range []string{"sans.org", "local.com", "unknown.com"} {
		get(t, a, "/"+name)
	}
	const want = `[{"seen_by_isc":"LOCAL","seen_by_web":"Tue, 01 Jan 2019 00:00:00 GMT","seen_by_you":"` + seenNow + `","expires":null,"domain":"local.com"},
{"freq_score":[6.2885, 7.9696],"seen_by_isc":"RDAP","seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","seen_by_you":"` + seenNow + `","expires":1754193600.0,"domain":"sans.org"}]
`
	var b bytes.Buffer
	if n, err := a.Export(t.Context(), &b, false, nil); n != 2 || err != nil || b.String() != want || !json.Valid(b.Bytes()) {
		t.Errorf("%d, %v\n got %s\nwant %s", n, err, &b, want)
	}
	b.Reset()
	if n, err := a.Export(t.Context(), &b, true, nil); n != 3 || err != nil {
		t.Errorf("all: %d, %v", n, err)
	}
	other := openLedger(t, t.TempDir()).Ledger()
	if res, err := Import(t.Context(), other, &b, ImportOptions{}); res.Added != 3 || res.Bad != 0 || err != nil {
		t.Errorf("%+v, %v", res, err)
	}
	if got := namesOf(t, other, DefaultScope); got != "local.com@20201107 sans.org@20201107 unknown.com@20201107" {
		t.Error(got)
	}
	b.Reset()
	empty := newAPI(t, nil)
	if n, err := empty.Export(t.Context(), &b, true, nil); n != 0 || err != nil || b.String() != "[]\n" {
		t.Errorf("nothing: %d, %v, %q", n, err, &b)
	}
	if _, err := a.Export(t.Context(), failing{}, true, nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a disk that is full: %v", err)
	}
	without := newAPIWithoutLedger(t, Options{Chain: enrich.NewChain("")})
	if _, err := without.Export(t.Context(), io.Discard, true, nil); err == nil {
		t.Error("no ledger, no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzEntries gives the readers anything: they end, and what they take for a domain is one.
func FuzzEntries(f *testing.F) {
	f.Add("[{\"domain\":\"a.com\",\"expires\":1e300}]", uint8(0))
	f.Add("+,a.com,2001-02-03 04:05:06,x\n-,b", uint8(1))
	f.Add("1,a.com\n\n#\n\xff", uint8(2))
	f.Fuzz(func(t *testing.T, history string, form uint8) {
		for e, err := range Entries(strings.NewReader(history), Exchange(form%3)) {
			if err == nil && !enrich.DomainOf(e.Domain).IsValid() {
				t.Errorf("%q is taken for a domain", e.Domain)
			}
		}
	})
}
