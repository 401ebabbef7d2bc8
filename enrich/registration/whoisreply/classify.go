package whoisreply

import (
	"strings"
	"time"
)

// statusClass is the class that a status tells, Error for the statuses of registered names.
func statusClass(s string) Class {
	if len(s) > 4 && isDigit(s[0]) && isDigit(s[2]) && s[3] == ' ' { // "220 available"
		s = s[4:]
	}
	switch {
	case s == "request denied":
		return Throttled
	case strings.Contains(s, "not managed by"):
		return Unsupported
	case s == "free", s == "available", strings.HasPrefix(s, "not registered"), strings.HasPrefix(s, "no object found"),
		strings.HasPrefix(s, "not found"), s == "unassigned", s == "unregistered", s == "not exist", strings.HasPrefix(s, "available"),
		s == "no match", strings.HasPrefix(s, "no object"), s == "livre", s == "disponible":
		return Available
	case strings.HasPrefix(s, "reserved"), strings.HasPrefix(s, "restricted"), s == "prohibited", s == "not_open", s == "not open",
		s == "forbidden", s == "reservado", s == "réservé", s == "unassignable", s == "not registrable":
		return Reserved
	}
	return Error
}

// facts reports whether the reply has something that only a registration has.
func (p *parser) facts() bool {
	r := &p.reply
	return !r.Created.IsZero() || !r.Expires.IsZero() || len(r.NameServers) > 0 || r.Registrar != "" ||
		r.Domain != "" && (r.Registrant.Name != "" || r.Registrant.Organization != "")
}

// classify tells the class. The registration itself outweighs what a reply says beside it: a registrar's limit does not unmake
// what the registry told (both may be in one reply).
func (p *parser) classify(text string) Class {
	r := &p.reply
	fromStatus, unavailable := Error, false
	for _, s := range r.Status {
		if c := statusClass(s); c != Error {
			fromStatus = c
			break
		}
		unavailable = unavailable || s == "unavailable" || s == "blocked" || strings.HasPrefix(s, "not available")
	}
	facts := p.facts()
	switch {
	case fromStatus == Reserved:
		return Reserved
	case fromStatus == Error && !facts && p.begun:
		return Error
	case facts && fromStatus == Error && !p.available:
		return Registered
	}
	said, wait, limit := sayingOf(text)
	switch {
	case fromStatus == Throttled, fromStatus == Unsupported:
		return fromStatus
	case said == Throttled || said == Blocked:
		r.Wait = wait
		return said
	case fromStatus == Available || p.available:
		if limit {
			return Error
		}
		return Available
	case said == Reserved || said == Available:
		return said
	case unavailable:
		return Reserved
	case r.Domain != "" && (len(r.Status) > 0 || !r.Updated.IsZero() || p.handles[ofRegistrant] != ""):
		return Registered
	}
	return said
}

const (
	maxSaid       = 420  // bytes of a paragraph; what is longer are terms of use: what they say is not about this query
	maxParagraphs = 2048 // that are read
)

// verdict gathers what the paragraphs of a reply tell.
type verdict struct {
	seen       [len(classNames)]bool
	about      Class // what is said of the name, the first time
	doubt      bool
	limit      bool // a limit, refusal or reservation was begun
	wait       time.Duration
	paragraphs int
}

// hear takes a paragraph in lower case; of one that may break off line is where its last line begins, of others -1.
func (v *verdict) hear(s string, line int) {
	if len(s) < 4 || len(s) >= maxSaid || v.paragraphs >= maxParagraphs {
		return
	}
	v.paragraphs++
	c, doubt, limit, terms := said(s, line)
	if terms {
		return
	}
	v.doubt = v.doubt || doubt && (c == Error || c == Available)
	v.limit = v.limit || limit
	v.seen[c] = true
	switch c {
	case Reserved, Available:
		if v.about == Error {
			v.about = c
		}
	case Throttled, Blocked:
		v.wait = max(v.wait, waitOf(s))
	}
}

// class weighs what was heard: of a reply that speaks of a limit, nothing else counts.
func (v *verdict) class() Class {
	switch {
	case v.seen[Throttled]:
		return Throttled
	case v.seen[Blocked]:
		return Blocked
	case v.about == Available && (v.doubt || v.limit):
		return Error
	case v.about != Error:
		return v.about
	case v.seen[Unsupported]:
		return Unsupported
	}
	return Error
}

// sayingOf is the class that the sentences of a reply tell, how long it says to wait, and whether it breaks off where it begins to
// speak of a limit. Sentences run over lines, so it is paragraphs that are read; lines by themselves only where they tell nothing, as in
// a reply without empty lines.
func sayingOf(text string) (c Class, wait time.Duration, limit bool) {
	for _, byLine := range [...]bool{false, true} {
		var v verdict
		var buf [2 * maxSaid]byte
		para, last := buf[:0], -1
		for rest := text; rest != ""; {
			var raw string
			raw, rest = nextLine(rest)
			s := trim(strings.TrimLeft(trim(raw), "%#;*-=>"))
			if s == "" || byLine {
				v.hear(string(para), -1)
				para = para[:0]
			}
			if rest == "" && brokenEnd(text) {
				last, s = len(para), wholeRunes(s)
			}
			para = appendLower(para, s)
		}
		v.hear(string(para), last)
		limit = limit || v.limit
		if c := v.class(); c != Error {
			return c, v.wait, limit
		}
	}
	return Error, 0, limit
}

// appendLower appends s and a space, in lower case, as far as there is room.
func appendLower(b []byte, s string) []byte {
	for i := 0; i < len(s) && len(b) < cap(b)-1; i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= 0x80:
			n := 0
			if b, n = appendFolded(b, s[i:]); n == 0 {
				return b
			}
			i += n - 1
			continue
		}
		b = append(b, c)
	}
	if len(b) > 0 && len(b) < cap(b) {
		b = append(b, ' ')
	}
	return b
}

// waitOf is the time that a sentence tells to wait: "replenished in 50 seconds", "10-second", "1 request per second".
func waitOf(s string) time.Duration {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			continue
		}
		j := i
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		unit := strings.TrimLeft(s[j:], " -")
		for _, u := range [...]struct {
			name string
			d    time.Duration
		}{{"sec", time.Second}, {"min", time.Minute}, {"hour", time.Hour}, {"day", 24 * time.Hour}, {"request per sec", time.Second}} {
			if j-i < 9 && strings.HasPrefix(unit, u.name) {
				return time.Duration(atoi(s[i:j])) * u.d
			}
		}
		i = j
	}
	return 0
}
