package registration

import (
	"net/netip"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// Add adds what is known of the subject's registration, from memory or from the store on this machine. What is not known, or is
// old, it would have fetched.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	if !q.Wants(canonical) {
		return enrich.Next
	}
	key := s.keyOf(q)
	if key == "" {
		return enrich.Next
	}
	now := s.opt.Now()
	e := s.entry(key, now)
	if e == nil {
		s.counts.misses.Add(1)
		return s.missing(q, r, key, now)
	}
	s.attach(q, r, key, e)
	if e.isFresh(now) {
		s.counts.fresh.Add(1)
		return enrich.Next
	}
	s.counts.stale.Add(1)
	age := now.Sub(e.answer.Asked).Round(time.Second)
	why := ""
	v := enrich.Outdated
	if f := s.failure(key, now); f != nil {
		v, why = enrich.Next, ": "+f.text
	} else if reason := s.held(q); reason != "" {
		v, why = enrich.Next, ": "+reason
	}
	r.Note(enrich.Stale, "as of "+e.answer.Asked.Format(time.RFC3339)+", "+age.String()+" ago"+why)
	return v
}

// attach adds an answer, and what the server wrote if the query wants that.
func (s *Source) attach(q *enrich.Query, r *enrich.Record, key string, e *entry) {
	r.Attach(e.fragment, e.answer.network(q.Subject))
	if !q.Raw {
		return
	}
	if raw, ok := s.raw(key); ok {
		r.Attach(enrich.NewBuilder(&enrich.Origin{Source: "registration", Name: raw.Server}).
			AsOf(e.answer.Asked).Verbatim(verbatim(raw)).Build(), netip.Prefix{})
	} else {
		r.Note(enrich.Info, "what the server wrote is not kept")
	}
}

// verbatim is what servers wrote, with the line ends of the wire and without control characters.
func verbatim(raw Raw) string {
	var b strings.Builder
	lines(&b, raw.Text)
	if raw.More != "" {
		b.WriteString("\r\n% from " + enrich.Clean(raw.Second) + "\r\n\r\n")
		lines(&b, raw.More)
	}
	return b.String()
}

func lines(b *strings.Builder, text string) {
	for l := range strings.Lines(text) {
		for i, cell := range strings.Split(strings.TrimRight(l, "\r\n"), "\t") {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(enrich.Clean(cell))
		}
		b.WriteString("\r\n")
	}
}

// missing answers a query about which nothing is known: that it is being looked up, or why it is not.
func (s *Source) missing(q *enrich.Query, r *enrich.Record, key string, now time.Time) enrich.Verdict {
	if f := s.failure(key, now); f != nil {
		r.Note(f.kind, f.text)
		return enrich.Next
	}
	who := s.services(q.Subject, key)
	if s.unsupported(q.Subject, key, who) {
		if s.awaits() {
			r.Note(enrich.Unfetched, notYet)
			return enrich.Next
		}
		r.Attach(noServer(key), netip.Prefix{})
		r.Note(enrich.Failed, noServerText(q.Subject, key))
		return enrich.Next
	}
	if reason := s.discretion(q.Discreet, who); reason != "" {
		r.Note(enrich.Unfetched, reason)
		return enrich.Next
	}
	if q.Offline {
		r.Note(enrich.Unfetched, "not known here, and not looked up")
		return enrich.Next
	}
	if until, why := s.paused(who); until.After(now) {
		r.Note(enrich.Throttled, why)
		return enrich.Next
	}
	r.Note(enrich.Unfetched, "being looked up")
	return enrich.Pending
}

// failure is why key is not tried now, nil where it may be.
func (s *Source) failure(key string, now time.Time) *failure {
	if f, ok := s.failed.GetIfPresent(key); ok && now.Before(f.again) {
		return f
	}
	return nil
}

// held is why an old answer is not renewed now, empty where it may be.
func (s *Source) held(q *enrich.Query) string {
	if q.Offline {
		return "not looked up again"
	}
	return s.discretion(q.Discreet, s.services(q.Subject, s.keyOf(q)))
}

// noServer says that nobody can be asked, which is no finding.
func noServer(key string) *enrich.Fragment {
	a := Answer{Class: whoisreply.Unsupported, Name: key}
	return a.fragmentOf(&enrich.Origin{Source: "registration", Baseline: true})
}

func noServerText(sub enrich.Subject, key string) string {
	if sub.Kind() != enrich.Domain {
		return "no registry is known that answers for " + key
	}
	tld := key[strings.LastIndexByte(key, '.')+1:]
	return "no RDAP or WHOIS server is known for the top-level domain " + tld
}
