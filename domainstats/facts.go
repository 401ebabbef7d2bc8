package domainstats

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
)

const noSuffix = "No valid eTLD exists for this domain."

// facts are what the formats B and C say about a domain.
type facts struct {
	scored        bool
	average, word float64
	created       time.Time // zero where it is not known
	via           string    // how it is known
	seen          sighting
	reason        string // why created is not known
	suffixless    bool   // the name is under no public suffix, so that nothing can be known
}

// serveDomain answers GET /<domain>.
func (a *API) serveDomain(w http.ResponseWriter, r *http.Request, segment string, c *call) outcome {
	now := a.opt.Now()
	name := domainOf(segment)
	reg := registrable(name)
	var f facts
	if reg == "" {
		a.unregistrable(r, c, &f, segment, name)
	} else {
		seen := reg
		if a.opt.PerName {
			seen = name
		}
		f.seen = a.observe(r, seen, now)
		a.lookup(r, c, enrich.DomainOf(reg), a.wanted(), now)
		a.gather(&f, &c.rec, reg)
	}
	contentType := typeText
	switch a.opt.Format {
	case FormatC:
		contentType = typeJSON
		c.buf = append(a.appendC(c.buf[:0], &f, now), '\n')
	case FormatB:
		c.buf = a.appendB(c.buf[:0], &f, now)
	default:
		c.buf = a.appendB0(c.buf[:0], &f, c.rec.Value(enrich.Rank), now)
	}
	o := a.hitOrMiss(&f)
	write(w, contentType, http.StatusOK, c.buf)
	return o
}

// wanted are the canonical fields that the formats show. The first sighting is not among them: the claim tells it; and scores are
// worked out, where that can be done, since they are not in a cache for most of the names that a network sees.
func (a *API) wanted() enrich.KeySet {
	want := enrich.SetOf(enrich.Created)
	if a.opt.Score == nil {
		want |= enrich.SetOf(enrich.FreqAverage, enrich.FreqWord)
	}
	if a.opt.Format == FormatB0 {
		want |= enrich.SetOf(enrich.Rank)
	}
	return want
}

func (a *API) hitOrMiss(f *facts) outcome {
	if f.created.IsZero() {
		a.state.misses.Add(1)
		return unknown
	}
	a.state.hits.Add(1)
	return answered
}

// unregistrable is a name that nobody can have registered. It is not seen, but scored, as any string is.
func (a *API) unregistrable(r *http.Request, c *call, f *facts, segment, name string) {
	f.suffixless, f.reason = true, noSuffix
	if name == "" {
		name = segment
	}
	if a.opt.Score != nil {
		f.average, f.word, f.scored = a.opt.Score("", name)
	}
	s, _ := enrich.ParseSubject(name)
	if c.rec.Reset(s); !s.IsValid() {
		return
	}
	c.query = enrich.Query{Subject: s, Offline: true}
	a.opt.Chain.Lookup(r.Context(), &c.query, &c.rec)
	if !f.scored {
		f.score(&c.rec)
	}
}

// gather takes from the record what the formats have a place for.
func (a *API) gather(f *facts, rec *enrich.Record, name string) {
	if f.score(rec); !f.scored && a.opt.Score != nil {
		f.average, f.word, f.scored = a.opt.Score("", name)
	}
	class, via := lookupOf(rec)
	if isRegistered(class) {
		f.created, f.via = parseTime(rec.Value(enrich.Created)), viaText(via)
	}
	if f.created.IsZero() {
		f.reason = reasonOf(rec, name, class, f.via != "")
	} else if f.via == "" {
		f.via = "LOCAL" // the operator's own records
	}
}

// score takes the frequency scores that a source of the chain set.
func (f *facts) score(rec *enrich.Record) {
	average, err1 := strconv.ParseFloat(rec.Value(enrich.FreqAverage), 64)
	word, err2 := strconv.ParseFloat(rec.Value(enrich.FreqWord), 64)
	if err1 == nil && err2 == nil {
		f.average, f.word, f.scored = average, word, true
	}
}

// category is NEW or ESTABLISHED as of now, ERROR where nothing is known.
func (a *API) category(f *facts, now time.Time) string {
	switch {
	case f.created.IsZero():
		return "ERROR"
	case now.Sub(f.created) > a.opt.EstablishedAge:
		return "ESTABLISHED"
	}
	return "NEW"
}

// appendAlerts appends the alerts as the elements of a JSON array: the frequencies', the first contact, what could not be known.
func (a *API) appendAlerts(b []byte, f *facts, between string) []byte {
	start := len(b)
	add := func(text string) {
		if len(b) > start {
			b = append(b, between...)
		}
		b = appendJSONString(b, text)
	}
	if f.scored && !f.suffixless {
		switch average, word := f.average < a.opt.FreqAverageAlert, f.word < a.opt.FreqWordAlert; {
		case average && word:
			add("LOW-FREQ-SCORES")
		case average || word:
			add("SUSPECT-FREQ-SCORE")
		}
	}
	if f.seen.isNew {
		add("YOUR-FIRST-CONTACT")
	}
	if f.reason != "" {
		add(f.reason)
	}
	if f.seen.why != "" && f.seen.why != noLedger {
		add(f.seen.why)
	}
	return b
}

// parseTime reads RFC 3339 in UTC, the form of canonical times; the zero time where there is none.
func parseTime(s string) time.Time {
	if len(s) == len("2006-01-02T15:04:05Z") && s[4] == '-' && s[7] == '-' && s[10] == 'T' && s[13] == ':' && s[16] == ':' && s[19] == 'Z' {
		if n, ok := digits(s); ok && n[1] >= 1 && n[1] <= 12 && n[2] >= 1 && n[2] <= 28 && n[3] < 24 && n[4] < 60 && n[5] < 60 {
			return time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
		}
	}
	if strings.IndexByte(s, 'T') < 0 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// digits are the numbers of a time of the form 2006-01-02T15:04:05Z.
func digits(s string) (n [6]int, ok bool) {
	field := 0
	for i := range 19 {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			n[field] = n[field]*10 + int(c-'0')
		case i == 4 || i == 7 || i == 10 || i == 13 || i == 16:
			field++
		default:
			return n, false
		}
	}
	return n, true
}
