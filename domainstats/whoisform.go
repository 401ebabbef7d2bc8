package domainstats

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// whoisFields are format A's own names of canonical fields.
var whoisFields = map[string]enrich.Key{
	"creation_date": enrich.Created, "expiration_date": enrich.Expires, "updated_date": enrich.Updated,
	"alexa": enrich.Rank,
}

// contactFields are format A's own names of what the source registration says of the registrant, and the other way round.
var (
	contactFields = map[string]string{
		"name": "registrant_name", "org": "registrant_organization", "address": "registrant_address", "city": "registrant_city",
		"state": "registrant_state", "zipcode": "registrant_postal_code", "country": "registrant_country",
	}
	contactNames = func() map[string]string {
		m := make(map[string]string, len(contactFields))
		for name, field := range contactFields {
			m[field] = name
		}
		return m
	}()
)

const noList = "Alexa not loaded on server. Restart server with -a or --alexa and file path."

// serveAlexa answers with the rank of the name itself, else of its registrable domain, else with 0.
func (a *API) serveAlexa(w http.ResponseWriter, r *http.Request, arg string, c *call) outcome {
	name := domainOf(arg)
	c.buf = c.buf[:0]
	loaded := false
	if a.opt.Rank != nil {
		rank, ok := 0, false
		if rank, ok, loaded = a.opt.Rank(name); !ok && loaded {
			if reg := registrable(name); reg != "" && reg != name {
				rank, ok, loaded = a.opt.Rank(reg)
			}
		}
		if ok {
			c.buf = strconv.AppendInt(c.buf, int64(rank), 10)
		}
	} else if s := enrich.DomainOf(name); s.IsValid() {
		c.query = enrich.Query{Subject: s, Offline: true}
		a.opt.Chain.Lookup(r.Context(), &c.query, &c.rec)
		c.buf = append(c.buf, c.rec.Value(enrich.Rank)...)
	}
	o := answered
	if len(c.buf) == 0 {
		if o = unknown; loaded {
			c.buf = append(c.buf, '0')
		} else {
			c.buf = append(c.buf, noList...)
		}
	}
	write(w, typeText, http.StatusOK, c.buf)
	return o
}

// serveWhois answers /domain/<domain> with the record, /domain/<field>/…/<domain> with its fields, /created/<domain> with one.
func (a *API) serveWhois(w http.ResponseWriter, r *http.Request, t *target, c *call) outcome {
	fields, asked := t.fields, t.arg
	name := domainOf(asked)
	if name == "" {
		c.buf = append(append(c.buf[:0], noRecord...), asked...)
		write(w, typeText, http.StatusOK, latin1(c.buf))
		return invalid
	}
	now := a.opt.Now()
	subject := registrable(name)
	if subject == "" {
		subject = name // no name of the public DNS, but the operator may have a record of it
	} else {
		seen := subject
		if a.opt.PerName {
			seen = name
		}
		a.observe(r, seen, now)
	}
	a.lookup(r, c, enrich.DomainOf(subject), 0, now)
	class, via := lookupOf(&c.rec)
	known := hasRegistration(&c.rec, class, via)
	c.buf = c.buf[:0]
	switch {
	case t.route == routeCreated && known:
		c.buf = append(c.buf, dateOf(c.rec.Value(enrich.Created))...)
	case fields != "" && isRegistered(class):
		known = a.appendFields(c, fields) || known
	case known:
		c.buf = appendRecord(c.buf, &c.rec)
	}
	o := answered
	if known {
		a.state.hits.Add(1)
	} else {
		o = unknown
		a.state.misses.Add(1)
		if c.buf = c.buf[:0]; !failed(&c.rec, class) {
			c.buf = append(append(c.buf, noRecord...), asked...)
		}
	}
	write(w, typeText, http.StatusOK, latin1(c.buf))
	return o
}

// failed reports that it could not be learnt whether there is a registration. Format A then has an empty answer: that there is no
// record is what a registry says, not what it would not say.
func failed(rec *enrich.Record, class string) bool {
	switch class {
	case classThrottled, classBlocked, classError:
		return true
	case classAvailable, classReserved, classUnsupported:
		return false
	}
	for _, n := range rec.Notes() {
		if n.Kind == enrich.Failed || n.Kind == enrich.Throttled || n.Kind == enrich.Unfetched {
			return true
		}
	}
	return false
}

// appendFields appends each field and "; ", and reports whether any was there.
func (a *API) appendFields(c *call, fields string) (found bool) {
	for field := range strings.SplitSeq(fields, "/") {
		key, all := strings.CutSuffix(field, "*")
		values, quoted := valuesOf(&c.rec, key)
		switch {
		case len(values) == 0:
			c.buf = append(append(append(c.buf, "no field named "...), key...), " found"...)
		case len(values) > 1 && (all || a.opt.Values == AllValues):
			c.buf = appendList(c.buf, values, quoted, ", ")
		case a.opt.Values == FirstValue:
			c.buf = append(c.buf, values[0]...)
		default:
			c.buf = append(c.buf, values[len(values)-1]...)
		}
		found = found || len(values) > 0
		c.buf = append(c.buf, "; "...)
	}
	return found
}

// valuesOf are the values of a field by format A's name for it, the canonical name, or a source's own. Numbers and dates are
// not quoted in a list.
func valuesOf(rec *enrich.Record, field string) (values []string, quoted bool) {
	field = strings.ToLower(field)
	k, ok := whoisFields[field]
	if !ok {
		k = enrich.KeyOf(field)
	}
	switch k {
	case enrich.Created, enrich.Updated, enrich.Expires, enrich.FirstSeen, enrich.LastSeen:
		if v := rec.Value(k); v != "" {
			return []string{dateOf(v)}, true
		}
		return nil, false
	case enrich.None:
		return ownValues(rec, field), true
	}
	if vs := rec.Values(k); vs != nil {
		return vs, true
	}
	return ownValues(rec, field), true
}

// ownValues are the values of a source's own field, by the source's name for it or format A's. Two names of format A are made up
// where no source has them.
func ownValues(rec *enrich.Record, key string) []string {
	if values := fieldValues(rec, key); values != nil {
		return values
	}
	if field, ok := contactFields[key]; ok {
		return fieldValues(rec, field)
	}
	switch key {
	case "domain_name":
		return []string{rec.Subject().Name()}
	case "time":
		for _, p := range rec.Parts() {
			if t := p.Fragment.AsOf(); p.Fragment.Value(enrich.Created) != "" && !t.IsZero() {
				return []string{strconv.FormatInt(t.Unix(), 10) + ".0"}
			}
		}
	}
	return nil
}

// fieldValues are the values of a field of the first source that has it.
func fieldValues(rec *enrich.Record, key string) (values []string) {
	for _, p := range rec.Parts() {
		for _, f := range p.Fragment.Fields() {
			if f.Key == key {
				values = append(values, f.Value)
			}
		}
		if values != nil {
			return values
		}
	}
	return nil
}

// dateOf is a canonical time as Python writes it, unchanged where it is none.
func dateOf(s string) string {
	if t := parseTime(s); !t.IsZero() {
		return t.Format(dateText)
	}
	return s
}

// latin1 is UTF-8 text in ISO 8859-1, the encoding of format A; what it has no letter for becomes a question mark.
func latin1(b []byte) []byte {
	ascii := true
	for _, c := range b {
		ascii = ascii && c < 0x80
	}
	if ascii {
		return b
	}
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
