package whoisreply

import (
	"strings"
	"unicode/utf8"
)

// A reply may lack its end: the connection broke, or a server's buffer was full. Then the text does not end in a line end, and its last
// word, name or sentence may be the beginning of one. (Servers that never send the final line end are taken for nothing worse:
// what is whole at the end counts as whole.) What is begun counts as whole where so much of it is there that nothing else can be
// meant; where it could be a limit, a refusal or a reservation as well, the name is not available.

// brokenEnd reports whether text may lack its end.
func brokenEnd(text string) bool {
	return text != "" && text[len(text)-1] != '\n' && text[len(text)-1] != '\r'
}

// wholeRunes is s without the first bytes of a character whose others are lost. In Latin-1 one byte is the whole character.
func wholeRunes(s string) string {
	for i := len(s) - 1; i >= 0 && i > len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) && utf8.ValidString(s[:i]) {
				return s[:i]
			}
			break
		}
	}
	return s
}

const (
	minBegun = 5 // bytes of a phrase that tell anything
	minWord  = 3 // bytes of its last word, without which it may go on in another way: "not fo|und", "not fo|r"
)

// mostOf reports whether the first k bytes of a phrase are two thirds of it or more.
func mostOf(phrase string, k int) bool { return 3*k >= 2*len(phrase) }

// nearly reports whether the first k bytes of a phrase are as good as the whole: most of it, and all of its words but the last, of
// which three letters are there. Where nothing else is said beside it, two letters of a longer word are enough, if no more than
// three are lost. A phrase that ends in a space or a full stop needs it: the word before it may be longer.
func nearly(phrase string, k int, alone bool) bool {
	n, word := len(phrase), k-1-strings.LastIndexByte(phrase, ' ')
	if !wordByte(phrase[n-1]) {
		return false
	}
	return mostOf(phrase, k) && word >= minWord || alone && k >= minBegun && n-k <= 3 && word >= 2 && n-k+word >= 5
}

// begun adds to what a paragraph tells what the phrases tell that are nearly whole at its end, and reports whether one begins there that
// is a limit, a refusal or a reservation. The paragraph is in lower case and ends without space; its last line is from line on.
// That nothing was found must stand in that line: the words of two may meet by chance, "published: no" and "registrar: …".
func begun(s string, line int, seen *[numWhats]bool) (limit bool) {
	var some, near [numWhats]bool
	for i := max(0, len(s)-maxPhrase); i+minBegun <= len(s); i++ {
		if i > 0 && s[i] < 0x80 && wordByte(s[i]) && wordByte(s[i-1]) {
			continue
		}
		for _, p := range phrases[phraseAt[uint16(s[i])<<8|uint16(s[i+1])]] {
			if len(p.text) <= len(s)-i || !strings.HasPrefix(p.text, s[i:]) {
				continue
			}
			whole := false
			switch p.what {
			case uint8(Throttled), uint8(Blocked), uint8(Reserved), whatDoubt:
				whole = mostOf(p.text, len(s)-i)
			case whatTerms:
				whole = nearly(p.text, len(s)-i, false)
			default:
				whole = i >= line && nearly(p.text, len(s)-i, onlySubject(s[:i])) && !negated(s[:i])
			}
			near[p.what] = near[p.what] || whole
			space := strings.IndexByte(s[i+1:len(s)-1], ' ') // a first word, "domain", begins a lot
			some[p.what] = some[p.what] || whole || space >= 0
		}
	}
	for _, w := range [...]string{"restricted", "reserved"} { // which tell nothing but by themselves
		near[Reserved] = near[Reserved] || len(s) >= minBegun && strings.HasPrefix(w, s) && mostOf(w, len(s))
	}
	near[Available] = near[Available] || beginsAvailable(s[min(line, len(s)):])
	if near[whatTerms] && !seen[Throttled] && !seen[Blocked] {
		seen[whatTerms] = true
		return false
	}
	limit = some[Throttled] || some[Blocked] || some[Reserved] || near[Reserved]
	near[Reserved] = near[Reserved] && !seen[Available] // "not regist|rable"
	near[Available] = near[Available] && !limit && !some[Unsupported] && !some[whatDoubt]
	near[Unsupported] = near[Unsupported] && !limit && !some[Available]
	for what := range seen {
		seen[what] = seen[what] || near[what]
	}
	return limit
}

// wordByte reports whether c is of a word in lower case.
func wordByte(c byte) bool { return c >= 'a' && c <= 'z' || isDigit(c) || c >= 0x80 }

// onlySubject reports whether what stands before a phrase is nothing, one word, or ends in the name or number of what is spoken of.
func onlySubject(before string) bool {
	before = strings.Trim(before, " \"'<>[]():,.")
	word := before[strings.LastIndexByte(before, ' ')+1:]
	return word == before || isHost(strings.Trim(word, "\"'<>[]")) || isDigit(word[len(word)-1])
}

// beginsAvailable reports whether a line that breaks off is "the domain example.org is available", or nearly. Other words before the name
// may be about something else: "more information on example.org is available at …".
func beginsAvailable(s string) bool {
	const end = " is available"
	s = strings.TrimRight(s, "! ")
	for k := len(end); k >= len(" is avail"); k-- {
		subject, ok := strings.CutSuffix(s, end[:k])
		if !ok {
			continue
		}
		before := subject[:strings.LastIndexByte(subject, ' ')+1]
		for word := range strings.FieldsSeq(before) {
			switch word {
			case "the", "this", "requested", "queried", "domain", "name":
			default:
				return false
			}
		}
		return isAvailable(s + end[k:])
	}
	return false
}

// mend completes what the end of a reply cut short and the rest of it tells.
func (p *parser) mend(text string) {
	if brokenEnd(text) {
		text = trim(text[max(0, len(text)-maxValue):])
		p.mendHost(text)
		p.mendStatus(text)
	}
}

// mendHost completes the last name server where another's name tells how it goes on, "ns1.example.org" and "ns2.exampl", and drops
// one that is the beginning of another.
func (p *parser) mendHost(text string) {
	list := p.reply.NameServers
	word := strings.ToLower(text[strings.LastIndexAny(text, "\r\n \t:,")+1:])
	if len(list) == 0 || word == "" {
		return
	}
	if last := len(list) - 1; cleanHost(word) == list[last] {
		list = list[:last]
	} else if p.pending != fNameServer || isHost(word) {
		return
	}
	label, domain, _ := strings.Cut(word, ".")
	for i := len(list) - 1; i >= 0; i-- {
		if strings.HasPrefix(list[i], word) {
			p.reply.NameServers = list
			return
		}
		_, parent, _ := strings.Cut(list[i], ".")
		if 2*len(domain) >= len(parent) && strings.HasPrefix(parent, domain) && isHost(label+"."+parent) {
			p.reply.NameServers = list
			p.addTo(&p.reply.NameServers, label+"."+parent)
			return
		}
	}
}

// statusWords are the statuses that tell a class.
var statusWords = [...]string{"free", "available", "not registered", "not found", "no object found", "no match", "unassigned", "unregistered",
	"not exist", "livre", "disponible", "reserved", "restricted", "prohibited", "forbidden", "not open", "request denied", "unassignable",
	"not registrable", "unavailable", "reservado"}

// mendStatus completes the last status, if the reply ends in it and all statuses that begin so tell the same class. It makes no
// available name of one whose registration is in sight.
func (p *parser) mendStatus(text string) {
	n := len(p.reply.Status) - 1
	if n < 0 {
		return
	}
	s := p.reply.Status[n]
	if !strings.EqualFold(text[max(0, len(text)-len(s)):], s) || eppCode(s) != "" {
		return
	}
	number := ""
	if len(s) > 4 && isDigit(s[0]) && isDigit(s[2]) && s[3] == ' ' {
		number, s = s[:4], s[4:]
	}
	whole, class := "", Error
	for _, w := range statusWords {
		c := statusClass(w)
		switch {
		case w == s:
			return
		case !strings.HasPrefix(w, s):
		case p.begun && c != class:
			return
		default:
			p.begun, class = true, c
			if whole == "" && nearly(w, len(s), true) {
				whole = number + w
			}
		}
	}
	if !p.begun {
		whole = eppCodeBegun(s)
	}
	if whole != "" && (class != Available || !p.facts()) {
		p.begun = false
		p.reply.Status = p.reply.Status[:n]
		p.addTo(&p.reply.Status, whole)
	}
}

// eppCodeBegun is the one code that s is nearly the whole of, or that an address of its explanation was begun behind.
func eppCodeBegun(s string) (code string) {
	if word, rest, ok := strings.Cut(s, " "); ok && strings.HasPrefix("https://", rest) {
		return eppCode(word)
	}
	var buf [40]byte
	letters := string(eppLetters(buf[:0], s))
	for name, c := range eppCodes {
		if letters == "" || !strings.HasPrefix(name, letters) {
			continue
		}
		if code != "" || !mostOf(name, len(letters)) {
			return ""
		}
		code = c
	}
	return code
}
