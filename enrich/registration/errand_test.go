package registration

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/limit"
)

// worker runs errands with another source, over JSON as between machines.
type worker struct {
	t      *testing.T
	source *Source
	change func(*Outcome)
	away   bool
	asked  []string // operators
}

func (w *worker) Run(ctx context.Context, operator string, e Errand) (Outcome, bool) {
	if w.away {
		return Outcome{}, false
	}
	w.asked = append(w.asked, operator)
	b, err := json.Marshal(e)
	if err != nil {
		w.t.Error(err)
	}
	e = Errand{}
	if err := json.Unmarshal(b, &e); err != nil {
		w.t.Error(err)
	}
	e.Patience = 10 * time.Millisecond
	o, err := w.source.Run(ctx, e)
	if err != nil {
		w.t.Error(err)
		return o, false
	}
	if w.change != nil {
		w.change(&o)
	}
	return o, true
}

func TestErrand(t *testing.T) {
	u := new(upstream)
	o := suffix(u.rdapServer(t, serveDomain), nil)
	far, _ := newSource(t, Options{Cache: newCache(t)}, o)
	w := &worker{t: t, source: far}
	_, chain := newSource(t, Options{Cache: newCache(t), Elsewhere: w}, o)
	for range 2 {
		r := lookup(chain, enrich.Query{Subject: enrich.DomainOf("www.example.test"), Raw: true})
		if got := r.Value(enrich.Registrar); got != "Example Registrar" || len(r.Parts()) < 2 {
			t.Errorf("registrar %q, %d parts, notes %s", got, len(r.Parts()), notes(r))
		} else if raw := r.Parts()[1].Fragment.Verbatim(); !strings.Contains(raw, `"handle":"D1-TEST"`) {
			t.Errorf("raw: %q", raw)
		}
	}
	if len(w.asked) != 1 || w.asked[0] != "127.0.0.1" || u.count() != 1 {
		t.Errorf("errands at %q, registry asked %d times", w.asked, u.count())
	}
	// Where no worker is there, this machine asks for itself.
	w.away = true
	if r := lookup(chain, enrich.Query{Subject: enrich.DomainOf("another.test")}); r.Value(enrich.Created) == "" || u.count() != 2 {
		t.Errorf("without workers: %s, registry asked %d times", notes(r), u.count())
	}
}

// TestErrandIsDeclined has a worker whose limit is used up say so, instead of queueing, and remember nothing of the name.
func TestErrandIsDeclined(t *testing.T) {
	u := new(upstream)
	o := suffix(u.rdapServer(t, serveDomain), nil)
	once := manners.New(manners.Options{Default: manners.Limit{Rates: []limit.Rate{{Events: 1, Per: time.Hour}}}})
	far, _ := newSource(t, Options{Manners: once, Now: time.Now}, o)
	first, err := far.Run(ctx, Errand{Subject: "one.test", Patience: time.Second})
	if err != nil || first.Answer == nil || first.Declined {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := far.Run(ctx, Errand{Subject: "two.test", Patience: time.Second})
	if err != nil || second.Answer != nil || !second.Declined || time.Until(second.Again) < 50*time.Minute {
		t.Errorf("%+v %v", second, err)
	}
	if f := far.failure("two.test", time.Now()); f != nil {
		t.Errorf("remembered: %+v", f)
	}
	if u.count() != 1 {
		t.Errorf("registry asked %d times", u.count())
	}
	for _, bad := range []string{"", "www.one.test", "test", "10.0.0.1", "two words", "com"} {
		if o, err := far.Run(ctx, Errand{Subject: bad}); err == nil {
			t.Errorf("%q: %+v", bad, o)
		}
	}
}

// TestLyingWorkers has a worker return what it should not: it is checked as a registry's reply is.
func TestLyingWorkers(t *testing.T) {
	u := new(upstream)
	o := suffix(u.rdapServer(t, serveDomain), nil)
	answer := func(change func(*Answer)) func(*Outcome) {
		return func(o *Outcome) {
			a, fresh, err := decode(o.Answer)
			if err != nil {
				t.Fatal(err)
			}
			change(a)
			o.Answer, _ = encode(a, fresh)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*Outcome)
		note   string
	}{
		{"about another name", answer(func(a *Answer) { a.Name = "other.test" }), "failed: a worker's answer is not used: it is about \"other.test\""},
		{"of the future", answer(func(a *Answer) { a.Asked = a.Asked.Add(time.Hour) }), "failed: a worker's answer is not used: it is of 2026"},
		{"of long ago", answer(func(a *Answer) { a.Asked = a.Asked.AddDate(-1, 0, 0) }), "failed: a worker's answer is not used: it is of 2025"},
		{"over no protocol", answer(func(a *Answer) { a.Via = "hearsay" }), "failed: a worker's answer is not used: it does not say how"},
		{"no answer at all", func(o *Outcome) { o.Answer = []byte(`{"v":1,"class":"wonderful"}`) }, "failed: a worker's answer is not used"},
		{"nothing", func(o *Outcome) { *o = Outcome{} }, "failed: a worker brought no answer"},
		{"control characters", func(o *Outcome) { *o = Outcome{Kind: enrich.Throttled, Text: "a\r\nb\x1b[0m", Fault: 99} }, "throttled: a b[0m"},
		{"for ever", func(o *Outcome) {
			*o = Outcome{Kind: enrich.Throttled, Text: "later", Again: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}
		}, "throttled: later"},
	} {
		far, _ := newSource(t, Options{}, o)
		near, chain := newSource(t, Options{Elsewhere: &worker{t: t, source: far, change: tt.change}}, o)
		r := lookup(chain, enrich.Query{})
		if got := notes(r); !strings.HasPrefix(got, tt.note) || len(r.Parts()) != 0 {
			t.Errorf("%s: %q, %d parts", tt.name, got, len(r.Parts()))
		}
		if f := near.failure("example.test", near.opt.Now()); f == nil || f.again.After(near.opt.Now().Add(25*time.Hour)) {
			t.Errorf("%s: remembered %+v", tt.name, f)
		}
	}
}

// FuzzWorkersAnswer feeds what comes from another machine to what reads it.
func FuzzWorkersAnswer(f *testing.F) {
	a := &Answer{Class: whoisreply.Registered, Via: viaRDAP, Asked: newClock().Now(), Name: "example.test"}
	b, err := encode(a, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"v":1,"class":"registered","via":"rdap","asked":"2026-11-21T12:00:00Z","networks":["10.0.0.0/8"],"range":"x"}`))
	s := New(Options{Now: newClock().Now})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := s.check(enrich.DomainOf("example.test"), "example.test", b); err == nil && a.Name != "example.test" {
			t.Errorf("accepted %+v", a)
		}
		if a, err := s.check(enrich.AddressOf(netip.MustParseAddr("192.0.2.1")), "192.0.2.1", b); err == nil && a.Range == "" && len(a.Networks) == 0 {
			t.Errorf("accepted %+v", a)
		}
	})
}
