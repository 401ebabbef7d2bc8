package registryfarm

import (
	"strings"

	"golang.org/x/net/idna"
)

// Behaviour is how a registry treats a name. The beginning of the name's first label selects it: "free-tulip.test" is [Free].
type Behaviour string

// The behaviours. What RDAP and WHOIS do is told where they differ; a Behaviour does not depend on anything but the name.
const (
	Ordinary Behaviour = ""         // registered, and told so
	Free     Behaviour = "free"     // not registered: 404 with an RDAP body or without one, "no match"
	Reserved Behaviour = "reserved" // kept back by the registry
	Expired  Behaviour = "expired"  // registered, the expiration is past

	Throttle     Behaviour = "throttle"     // too many queries: 429 with Retry-After in seconds; WHOIS says how long to wait
	ThrottleDate Behaviour = "throttledate" // 429 with Retry-After as an HTTP date; WHOIS as Throttle
	ThrottleText Behaviour = "throttletext" // HTTP 200 that says so in words; WHOIS in any of [ThrottleTexts]
	Busy         Behaviour = "busy"         // 503 with Retry-After; WHOIS says that the server is busy
	Blocked      Behaviour = "blocked"      // 403; "your address is blacklisted"

	Hang  Behaviour = "hang"  // accepts, and says nothing until the client goes
	Drip  Behaviour = "drip"  // a byte now and then, see Options.Drip
	Reset Behaviour = "reset" // some bytes, then RST (HTTP/2: RST_STREAM)
	Cut   Behaviour = "cut"   // half of the answer, then the end of the connection
	Error Behaviour = "error" // 500; WHOIS an internal error in words
	Empty Behaviour = "empty" // HTTP 200 without a body; WHOIS not a byte
	Flaky Behaviour = "flaky" // as Error every second time, beginning with the first, as Ordinary the others

	Big  Behaviour = "big"  // a true answer that goes on for 10 MB
	Gzip Behaviour = "gzip" // RDAP compressed, to whoever accepts that
	Bomb Behaviour = "bomb" // RDAP compressed, 10 MB of it; WHOIS as Big

	Loop     Behaviour = "loop"     // a redirect to another URL and back; WHOIS refers to a registrar, who refers back
	LoopSelf Behaviour = "loopself" // a redirect to itself; WHOIS refers to itself
	LoopFar  Behaviour = "loopfar"  // redirects without end, each to a new URL; WHOIS as Loop
	Private  Behaviour = "private"  // a redirect or referral to where nobody may be led, see Farm.PrivateTarget
	Lead     Behaviour = "lead"     // RDAP: an answer whose related link leads there; WHOIS as Private

	NoFinalNewline Behaviour = "nofinalnewline" // the last line, a referral, is not ended
	HTML404        Behaviour = "html404"        // a web page that says 404
	NotJSON        Behaviour = "notjson"        // words that mean nothing
	OtherName      Behaviour = "othername"      // an answer about another name

	// The answer is not in UTF-8, and does not say so.
	Latin1    Behaviour = "latin1"
	EUCJP     Behaviour = "eucjp"
	ISO2022JP Behaviour = "iso2022jp"
	EUCKR     Behaviour = "euckr"
	GBK       Behaviour = "gbk"
	Big5      Behaviour = "big5"
	KOI8R     Behaviour = "koi8r"
)

var behaviours = func() map[string]Behaviour {
	m := make(map[string]Behaviour)
	for _, b := range [...]Behaviour{Free, Reserved, Expired, Throttle, ThrottleDate, ThrottleText, Busy, Blocked, Hang, Drip, Reset, Cut,
		Error, Empty, Flaky, Big, Gzip, Bomb, Loop, LoopSelf, LoopFar, Private, Lead, NoFinalNewline, HTML404, NotJSON, OtherName,
		Latin1, EUCJP, ISO2022JP, EUCKR, GBK, Big5, KOI8R} {
		m[string(b)] = b
	}
	return m
}()

// BehaviourOf is the behaviour that a name selects.
func BehaviourOf(name string) Behaviour {
	word, _, ok := strings.Cut(name, "-")
	if !ok || len(word) > len(NoFinalNewline) {
		return Ordinary
	}
	return behaviours[strings.ToLower(word)]
}

// registered reports whether a registry has a name that behaves so, whatever it answers.
func (b Behaviour) registered() bool { return b != Free && b != Reserved }

// canonical is a name in lower case and A-labels, without the final dot; ok is false for what is none.
func canonical(name string) (_ string, ok bool) {
	name = strings.TrimSuffix(name, ".")
	plain := true
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		case c >= 'A' && c <= 'Z', c >= 0x80:
			plain = false
		default:
			return "", false
		}
	}
	if !plain {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			if ascii, err = idna.Punycode.ToASCII(strings.ToLower(name)); err != nil {
				return "", false
			}
		}
		name = ascii
	}
	if name == "" || len(name) > 253 || name[0] == '.' || strings.Contains(name, "..") {
		return "", false
	}
	return name, true
}

// suffixOf is the name without its first label, empty for a single label.
func suffixOf(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}
