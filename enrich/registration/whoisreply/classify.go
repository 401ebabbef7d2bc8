package whoisreply

import (
	"strings"
	"time"
)

// saying is what registries write to tell a class, in lower case.
type saying struct {
	class Class
	words string
}

// sayings are tried in order of class, not of place: who says that it limits queries and that nothing was found says nothing
// about the name. What is here must not occur in the terms of use that replies carry, which speak of limits as well; they are
// mostly told apart by their length (see classify).
var sayings = []saying{
	{Blocked, "been blacklisted|is blacklisted|are blacklisted|access denied|has been banned|is banned|been banned|" +
		"permission denied|not authorised to access this|you have been blocked|your access has been|" +
		"not authorized to use this|access from your ip|su direccion ip no|client blocked|query refused|" +
		"you are not allowed to|la ip utilizada no|access to this service is denied|connection denied|blocked for abuse"},
	{Throttled, "too many|ip address blocked|ip is blocked|ip has been blocked|ip address is blocked|query rate reached|" +
		"request denied|limit exceeded|limit has been exceeded|limit reached|limit was exceeded|exceeded your|exceeded the|" +
		"quota exceeded|quota reached|has been exceeded|have exceeded|has exceeded|been exceeded|slow down|try again|" +
		"try later|please wait|go away|excessive querying|grace period, wait|still in grace period|queries per hour|" +
		"queries per day|queries per minute|requests per minute|request per second|requests per second|rate limit|" +
		"ratelimit|rate-limit|access control limit|temporarily denied|temporarily unavailable|temporarily not|" +
		"temporarily blocked|temporarily restricted|time before starting another|interval is too short|query interval|" +
		"limit-exceeded|over quota|throttl|quota of quer|queries exceeded|exceeded allowed|exceeded maximum|exceeded max|" +
		"maximum number of queries|maximum queries|maximum query|number of allowed queries|lookup quota|query quota|" +
		"lookups exceeded|wait a while|wait and|again later|again in|too fast|too frequent|too often|exceeded for|" +
		"max number of|daily limit|hourly limit|currently down|is busy|too busy|server is down|overload|excess of quer|" +
		"number of queries|exceeded. |be replenished|due to query limit|command rate|connection limit|" +
		"limitado temporalmente|demasiadas consultas|consultas excedido|requests of this client|rejected due to|" +
		"refused, try|wait for"},
	{Reserved, "is reserved|are reserved|been reserved|reserved by|reserved name|reserved for|reserved domain|" +
		"in the reserved list|restricted from|is restricted|restricted domain|domain is prohibited|requested is prohibited|" +
		"is not allowed to be registered|domain not available|not available for registration|can not be registered|" +
		"cannot be registered|may not be registered|name is blocked|domain is blocked|has been blocked by|" +
		"not available or is reserved|blocked by|prohibited string|prohibited name|domain reserved|name is prohibited|" +
		"not registrable|not available for second level|registration is not allowed|unavailable for registration|" +
		"not be available for registration|restricted name|in the restricted list|reserved word|dpml block|globalblock|" +
		"trademark clearinghouse block|réservé|reservado"},
	{Available, "no match|not found|no entries found|no data found|no object found|no objects found|nothing found|" +
		"no records match|no such domain|not registered|is available for|is available to|is available. |available for reg|" +
		"available for pur|is free|not been registered|does not exist|no existe|not been found|no information available|" +
		"no data was found|could not be found|domain unknown|no domain|object does not exist|no matching|not exist in|" +
		"not in database|no record|could not find|unable to find|not known in|no found|returned 0 objects|no se encontro|" +
		"no_se_encontro|object_not_found|no se encuentra registrado|not available in our whois database|no entry found|" +
		"nothing to show|not find matchingrecord|nincs tal|is not in our|is not in the|not assigned|no está registrado|" +
		"no esta registrado|no registrado|status: available|status: free|available domain|domain available|" +
		"this query returned 0|not have an entry|not have any entries|not have any data|data not found|" +
		"no information was found|no information on|is not active|not currently registered|never been registered|" +
		"no name found|0 results|not delegated|n'existe pas|non trouv|nicht gefunden|not yet registered|등록되어 있지 않습니다|未注册|" +
		"未註冊|没有|該当するデータがありません|нет данных|не найден|não encontrado|não existe|not regist|is unassigned|not exist|no results|" +
		"not listed|no results found|unknown domain|not match|#free|key not found"},
	{Unsupported, "tld not supported|tld is not supported|not supported|no whois server|invalid query|invalid domain|" +
		"not a valid domain|invalid input|is not valid|invalid request|not managed by|not authoritative|wrong tld|" +
		"unknown tld|malformed|syntax error|illegal|does not accept|not served by|this tld has no whois|invalid parameter|" +
		"incorrect domain|only contains|unsupported|does not support"},
}

var sayingWords = func() (words [len(classNames)][]string) {
	for _, s := range sayings {
		for w := range strings.SplitSeq(s.words, "|") {
			words[s.class] = append(words[s.class], w)
			if l := latin1(w); l != "" && l != w {
				words[s.class] = append(words[s.class], l)
			}
		}
	}
	return words
}()

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
		s == "forbidden", s == "reservado", s == "réservé":
		return Reserved
	}
	return Error
}

// brokenOff reports whether the last status is the beginning of one that tells a class, and the reply ends in it.
func (p *parser) brokenOff(text string) bool {
	n := len(p.reply.Status)
	if n == 0 || strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\r") {
		return false
	}
	s := p.reply.Status[n-1]
	text = trim(text)
	if len(s) > 4 && isDigit(s[0]) && isDigit(s[2]) && s[3] == ' ' {
		s = s[4:]
	}
	for _, word := range [...]string{"free", "available", "not registered", "not found", "no object found", "no match", "unassigned", "unregistered",
		"not exist", "livre", "disponible", "reserved", "restricted", "prohibited", "forbidden", "not open", "request denied"} {
		if strings.HasPrefix(word, s) {
			return len(text) >= len(s) && strings.EqualFold(text[len(text)-len(s):], s)
		}
	}
	return false
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
	facts := !r.Created.IsZero() || !r.Expires.IsZero() || len(r.NameServers) > 0 || r.Registrar != "" ||
		r.Domain != "" && (r.Registrant.Name != "" || r.Registrant.Organization != "")
	switch {
	case fromStatus == Reserved:
		return Reserved
	case fromStatus == Error && !facts && p.brokenOff(text):
		return Error
	case facts && fromStatus == Error && !p.available:
		return Registered
	}
	said, wait := sayingOf(text)
	switch {
	case fromStatus == Throttled, fromStatus == Unsupported:
		return fromStatus
	case said == Throttled || said == Blocked:
		r.Wait = wait
		return said
	case fromStatus == Available || p.available:
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

// terms are parts of terms of use and of notices, in lower case. What a paragraph with one of them says of limits and reservations
// is said to everybody.
var terms = [...]string{
	"rights reserved", "you agree", "by using th", "by submitting", "terms of use", "terms and conditions",
	"reserves the right", "rate limited", "is provided", "the data in", "may be withdrawn", "abuse of th", "note that",
	"should this limit", "information provided", "you may not", "legitimate", "purposes", "accura",
	"you are not authorized", "never do any", "excessive queries;", "is restricted in order", "can be made",
	"maximum of ", "copyright", "prohibited from", "expressly prohibited", "available in full at", "may be reserved",
	"might be", "all queries are", "in this page", "registrar of record", "please visit", "help@", "for further",
}

// isTerms reports whether a paragraph is said to everybody.
func isTerms(s string) bool {
	for _, w := range terms {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

const (
	maxSaid       = 420  // bytes of a paragraph; what is longer are terms of use: what they say is not about this query
	maxParagraphs = 2048 // that are read
)

// verdict gathers what the paragraphs of a reply tell.
type verdict struct {
	seen       [len(classNames)]bool
	about      Class // what is said of the name, the first time
	wait       time.Duration
	paragraphs int
}

// hear takes a paragraph in lower case.
func (v *verdict) hear(s string) {
	if len(s) < 4 || len(s) >= maxSaid || v.paragraphs >= maxParagraphs {
		return
	}
	v.paragraphs++
	c := said(s)
	if c == Error || isTerms(s) {
		return
	}
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
	case v.about != Error:
		return v.about
	case v.seen[Unsupported]:
		return Unsupported
	}
	return Error
}

// sayingOf is the class that the sentences of a reply tell, and how long it says to wait. Sentences run over lines, so it is
// paragraphs that are read; lines by themselves only where they tell nothing, as in a reply without empty lines.
func sayingOf(text string) (Class, time.Duration) {
	for _, byLine := range [...]bool{false, true} {
		var v verdict
		var buf [2 * maxSaid]byte
		para := buf[:0]
		for rest := text; rest != ""; {
			var raw string
			raw, rest = nextLine(rest)
			s := trim(strings.TrimLeft(trim(raw), "%#;*-=>"))
			if s == "" || byLine {
				v.hear(string(para))
				para = para[:0]
			}
			para = appendLower(para, s)
		}
		v.hear(string(para))
		if c := v.class(); c != Error {
			return c, v.wait
		}
	}
	return Error, 0
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

// said is the class that a paragraph tells.
func said(s string) Class {
	if s == "restricted " || s == "reserved " {
		return Reserved
	}
	for _, list := range sayings {
		for _, w := range sayingWords[list.class] {
			if i := strings.Index(s, w); i >= 0 && !(list.class == Available && i > 0 && (s[i-1] == '.' || s[i-1] == '-')) {
				return list.class // but not "whois.registry.no domain …"
			}
		}
	}
	return Error
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
