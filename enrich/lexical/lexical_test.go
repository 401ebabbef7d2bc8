package lexical

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

// answer is what the source says of a subject.
func answer(s *Source, subject enrich.Subject) *enrich.Record {
	return enrich.NewChain("", enrich.Link{Name: "lexical", Source: s}).Answer(context.Background(), subject, 0)
}

// fields are those of an answer, in order, without the scores if there are any.
func fields(r *enrich.Record) string {
	var out []string
	for _, p := range r.Parts() {
		for _, f := range p.Fragment.Fields() {
			if !strings.HasPrefix(f.Key, "freq_") {
				out = append(out, f.Key+"="+f.Value)
			}
		}
	}
	return strings.Join(out, " ")
}

func domain(t *testing.T, s string) enrich.Subject {
	t.Helper()
	sub, err := enrich.ParseSubject(s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestAdd(t *testing.T) {
	s := New(Options{})
	for _, tt := range []struct{ name, want string }{
		{"example.org", "label_length=7 label_entropy=2.5216"},
		{"www.example.org", "label_length=7 label_entropy=2.5216"},
		{"a.b.example.co.uk", "label_length=7 label_entropy=2.5216"},
		{"co.uk", "label_length=2 label_entropy=1"},
		{"org", "label_length=3 label_entropy=1.585"},
		{"müller.de", "label_length=6 label_entropy=2.2516 unicode_name=müller.de scripts=Latin"},
		{"www.müller.de", "label_length=6 label_entropy=2.2516 unicode_name=www.müller.de scripts=Latin"},
		{"müller.example.org", "label_length=7 label_entropy=2.5216 unicode_name=müller.example.org scripts=Latin"},
		{"xn--yutube-wqf.com", "label_length=7 label_entropy=2.5216 unicode_name=y\u043eutube.com scripts=Cyrillic scripts=Latin " +
			"mixed_scripts=true lookalike_of=youtube.com"},
		{"xn--80ak6aa92e.com", "label_length=5 label_entropy=1.9219 unicode_name=\u0430\u0440\u0440\u04cf\u0435.com scripts=Cyrillic " +
			"lookalike_of=apple.com"},
		{"xn--ab-g1t.com", "label_length=10 label_entropy=2.8464 idn_error=" + errHidden.Error()},
		{"xn--om-wjc.org", "label_length=3 label_entropy=1.585 unicode_name=\u0421om.org idn_error=" + errUnfit.Error() +
			" scripts=Cyrillic scripts=Latin mixed_scripts=true"},
	} {
		for range 2 { // the second from what was kept
			if got := fields(answer(s, domain(t, tt.name))); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	}
	for _, tt := range []struct{ word, want string }{
		{"google", "label_length=6 label_entropy=1.9183"},
		{"Customer-7", "label_length=10 label_entropy=3.3219"},
		{"müller", "label_length=6 label_entropy=2.2516 ascii_name=xn--mller-kva scripts=Latin"},
	} {
		if got := fields(answer(s, enrich.NameOf(tt.word))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.word, got, tt.want)
		}
	}
	if r := answer(s, domain(t, "192.0.2.1")); len(r.Parts()) != 0 {
		t.Errorf("an address: %s", r.AppendJSON(nil))
	}
}

func TestAddScores(t *testing.T) {
	s := New(Options{})
	for _, tt := range []struct {
		subject enrich.Subject
		scored  string
	}{
		{domain(t, "www.example.org"), "example.org"},
		{domain(t, "a.example.co.uk"), "example.co.uk"},
		{domain(t, "www.müller.de"), "xn--mller-kva.de"},
		{domain(t, "co.uk"), "co.uk"},
		{enrich.NameOf("google"), "google"},
	} {
		avg, word := Score(tt.scored)
		r := answer(s, tt.subject)
		var got struct {
			Avg     float64 `json:"freq_avg"`
			Word    float64 `json:"freq_word"`
			Sources []struct{ Fields map[string]any }
		}
		if err := json.Unmarshal(r.AppendJSON(nil), &got); err != nil {
			t.Fatal(err)
		}
		if f := got.Sources[0].Fields; got.Avg != avg || got.Word != word || f["freq_avg"] != avg || f["freq_word"] != word || avg == 0 {
			t.Errorf("%s: %s, want %v %v", tt.subject, r.AppendJSON(nil), avg, word)
		}
		if r.Found() {
			t.Errorf("%s: a score counts as data found", tt.subject)
		}
	}
}

func TestScoreOfSource(t *testing.T) {
	s := New(Options{Tables: map[string]string{"mine": "absent"}})
	avg, word := Score("example")
	for table, ok := range map[string]bool{"": true, DefaultTable: true, "mine": false, "other": false} {
		a, w, got := s.Score(table, "example")
		if got != ok || ok && (a != avg || w != word) {
			t.Errorf("%q: %v %v %v", table, a, w, got)
		}
	}
	if got := s.Tables(); !slices.Equal(got, []string{DefaultTable, "mine"}) {
		t.Errorf("tables %q", got)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTablesAreHot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.freq")
	s := New(Options{Tables: map[string]string{DefaultTable: path, "own": path}, Poll: 20 * time.Millisecond})
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	example := domain(t, "ab.example")
	if r := answer(s, example); r.Value(enrich.FreqAverage) != "" || fields(r) == "" {
		t.Errorf("scored by another table while its own is missing: %s", r.AppendJSON(nil))
	}
	if st := s.Status(); len(st.Data) != 1 || st.Data[0].Error == "" {
		t.Errorf("%+v", st)
	}
	scores := func(want float64) func() bool {
		return func() bool {
			a, _, _ := s.Score("", "ab")
			b, _, ok := s.Score("own", "ab")
			return ok && a == want && b == want
		}
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() { // asks all the while, for the race detector
		for {
			select {
			case <-stop:
				return
			default:
				answer(s, example)
			}
		}
	})
	write(t, path, `[true, "", [["a", [["b", 1], ["c", 1]]]]]`)
	eventually(t, "the table is taken in", scores(50))
	if got := answer(s, example).Value(enrich.FreqAverage); got == "" {
		t.Error("no score after the table came")
	}
	write(t, path, `[true, "", [["a", [["b", 1]]]]]`)
	eventually(t, "its successor is", scores(100))
	write(t, path, `[true, "", [["a", [["b",`)
	eventually(t, "half a table is refused", func() bool { return s.Status().LastError != "" })
	if !scores(100)() {
		t.Error("the last good table is gone")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.Refresh()
	if _, _, ok := s.Score("own", "ab"); ok {
		t.Error("a reload has not let go of the table")
	}
	close(stop)
	wg.Wait()
}

func TestPublishedTableAsDefault(t *testing.T) {
	s := New(Options{Tables: map[string]string{DefaultTable: testenv.Path(t, "freq", "freqtable2018.freq")}})
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := answer(s, domain(t, "www.sans.org"))
	if avg, word := r.Value(enrich.FreqAverage), r.Value(enrich.FreqWord); avg != "6.2885" || word != "7.9696" {
		t.Errorf("%s %s", avg, word)
	}
	st := s.Status()
	if len(st.Data) != 1 || st.Data[0].Records == 0 || st.Data[0].Built.IsZero() || st.Records != st.Data[0].Records || st.Kind != "lexical" {
		t.Errorf("%+v", st)
	}
}

func TestDecimal(t *testing.T) {
	for _, v := range []float64{0, 1, 10, 0.0001, 6.2885, 3.871, 5.5, 100, 99.9999, 12345.678, 1e9, 1e12, 999999999.9999} {
		if got, want := decimal(v), strconv.FormatFloat(v, 'f', -1, 64); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for n := range 1_000_000 {
		v := float64(n) / 1e4
		if got, want := decimal(v), strconv.FormatFloat(v, 'f', -1, 64); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

func TestStatusOfTheCompiledInTable(t *testing.T) {
	st := New(Options{}).Status()
	if len(st.Data) != 1 || st.Data[0].Type != "freq table, compiled in" || st.Records == 0 || st.Kind != "lexical" {
		t.Errorf("%+v", st)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := New(Options{Tables: map[string]string{"x": "[a-"}})
	if err := s.Open(context.Background()); err == nil {
		t.Error("a malformed pattern was opened")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := loadFile(context.Background(), t.TempDir()); err == nil {
		t.Error("a folder was loaded")
	}
}

func TestKeptAnswersDoNotAllocate(t *testing.T) {
	s := New(Options{})
	q := enrich.Query{Subject: enrich.DomainOf("www.example.org")}
	var r enrich.Record
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(q.Subject)
		s.Add(&q, &r)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAdd is what a chain pays for a name that was asked before, for a new one under a domain that was, for a domain that
// is new, and for a new internationalised one. The budget is 2 µs.
func BenchmarkAdd(b *testing.B) {
	digits := func(format string, n int) []enrich.Subject {
		subjects := make([]enrich.Subject, n)
		for i := range subjects {
			subjects[i] = enrich.DomainOf(strings.ReplaceAll(format, "#", string([]byte{
				byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676%26), byte('a' + i/17576%26)})))
		}
		return subjects
	}
	for _, bb := range []struct {
		name     string
		subjects []enrich.Subject
	}{
		{"repeated", digits("www.example-#.org", 1000)},
		{"host", digits("#.example.org", 400_000)},
		{"domain", digits("example-#.org", 400_000)},
		{"idn", digits("xn--#mller-kva.de", 400_000)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := New(Options{})
			var q enrich.Query
			var r enrich.Record
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				q.Subject = bb.subjects[i]
				r.Reset(q.Subject)
				s.Add(&q, &r)
				if i++; i == len(bb.subjects) {
					i = 0
				}
			}
		})
	}
}
