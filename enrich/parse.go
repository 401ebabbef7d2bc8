package enrich

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxRange is the most subjects that ParseSubjects makes of one range. Arithmetic keeps below it: a range of IPv4 addresses
// needs at most 62 prefixes, one of IPv6 addresses at most 254.
const MaxRange = 256

const (
	maxInput = 2048 // bytes of input that are looked at: the longest URL that is pasted in practice
	maxName  = 255  // bytes of a subject of kind Name
	maxShown = 64   // bytes of the input that an error shows
)

// SubjectError says why a word is no subject. It is safe to show and to log: one line, without control characters.
type SubjectError struct {
	Input  string // what was read, escaped as in Go and cut after 64 bytes
	Reason string // why it was refused, and what would be accepted
}

// Error is the input in quotes and the reason.
func (e *SubjectError) Error() string { return `"` + e.Input + `": ` + e.Reason }

func refuse(input, reason string) *SubjectError {
	more := ""
	if len(input) > maxShown {
		n := maxShown
		for n > maxShown-utf8.UTFMax && !utf8.RuneStart(input[n]) {
			n--
		}
		input, more = input[:n], "…"
	}
	q := strconv.Quote(input)
	return &SubjectError{Input: q[1:len(q)-1] + more, Reason: reason}
}

// ParseSubject makes a Subject of what people paste where an address or a name is asked for:
//
//   - an address: 192.0.2.1, 2001:db8::1, [2001:db8::1]:443, 192.0.2.1:80, fe80::1%eth0 (the zone is dropped),
//     ::ffff:192.0.2.1 (unmapped, RFC 4291 §2.5.5.2), 1.2.0.192.in-addr.arpa and its like under ip6.arpa (RFC 1035, RFC 3596);
//   - a prefix: 192.0.2.0/24, 192.0.2/24, 2001:db8::/32, 2.0.192.in-addr.arpa, 0/26.2.0.192.in-addr.arpa (RFC 2317), or a range
//     that is exactly one prefix. Host bits are cleared, which the Subject remembers;
//   - an AS number: AS64496, as64496, "AS 64496", ASN64496, AS1.10 (asdot, RFC 5396), or a decimal number alone;
//   - a domain: in any case, as A-labels or U-labels (RFC 5890; mapped as UTS 46 says), with or without the final dot, with
//     underscores (_dmarc.example.org), with a port. A single label is a domain if it is a top-level domain;
//   - a URL or an e-mail address: its host or domain;
//   - all of these in quotes or brackets, among white space, or defanged: 192.0.2[.]1, hxxps[:]//example[.]org, a[at]example[dot]org;
//   - a name: any other printable word without white space, of at most 255 bytes, its case kept: "../../etc/passwd", "Customer-7".
//
// Any other input is refused with a [SubjectError]: forms of IPv4 addresses that programs read differently (010.0.0.1, 127.1, 0x7f.1),
// numbers out of range, bad labels, control characters, several words, more than 2048 bytes.
//
// s is not retained: it may be a view of a buffer that is about to change.
func ParseSubject(s string) (Subject, error) {
	if a, ok := parseAddr(s); ok {
		return Subject{kind: Address, addr: a}, nil
	}
	sub, reason := parse(s)
	if reason != "" {
		return Subject{}, refuse(s, reason)
	}
	return sub, nil
}

// ParseSubjects is [ParseSubject], and takes ranges too: "192.0.2.0 - 192.0.2.255", "192.0.2.1-192.0.2.4", "192.0.2.1-4",
// "2001:db8::1-2001:db8::ff". A range is returned as the fewest prefixes that cover it and nothing else, in order and at most
// [MaxRange]; a prefix of one address as that address.
func ParseSubjects(s string) ([]Subject, error) {
	if a, ok := parseAddr(s); ok {
		return []Subject{{kind: Address, addr: a}}, nil
	}
	t, reason := tidy(s)
	if reason == "" {
		if first, last, why, ok := parseRange(t); ok {
			if why != "" {
				return nil, refuse(s, why)
			}
			return appendCover(nil, first, last), nil
		}
	}
	sub, err := ParseSubject(s)
	if err != nil {
		return nil, err
	}
	return []Subject{sub}, nil
}

// class is a set of kinds of bytes: what a word is made of decides how it is read.
type class uint16

const (
	lower   class = 1 << iota // a-z
	upper                     // A-Z
	digit                     // 0-9
	dash                      // - and _
	dot                       // .
	colon                     // :
	slash                     // /
	at                        // @
	bracket                   // any of ()[]{}<>
	quote                     // quotation marks, and the commas and semicolons of pasted lists
	space                     // space and TAB
	control                   // other C0, DEL
	mark                      // other printable ASCII
	high                      // bytes of multi-byte UTF-8

	hostBytes = lower | upper | digit | dash | dot
)

var classes = func() (t [256]class) {
	for c := range t {
		switch {
		case c >= 0x80:
			t[c] = high
		case c == ' ' || c == '\t':
			t[c] = space
		case c < ' ' || c == 0x7f:
			t[c] = control
		case 'a' <= c && c <= 'z':
			t[c] = lower
		case 'A' <= c && c <= 'Z':
			t[c] = upper
		case '0' <= c && c <= '9':
			t[c] = digit
		default:
			t[c] = mark
		}
	}
	for s, cl := range map[string]class{"-_": dash, ".": dot, ":": colon, "/": slash, "@": at, "()[]{}<>": bracket, "\"'`,;": quote} {
		for i := range len(s) {
			t[s[i]] = cl
		}
	}
	return t
}()

func classify(s string) (m class) {
	for i := range len(s) {
		m |= classes[s[i]]
	}
	return m
}

// parse reads one subject. A reason that is not empty says why s is none. Where it goes on with a part of s, that part is
// shorter and parsed anew, so that what comes out is always read as the same subject again.
func parse(s string) (Subject, string) {
	if len(s) > maxInput {
		return Subject{}, "longer than " + strconv.Itoa(maxInput) + " bytes"
	}
	m := classify(s)
	if m&^(hostBytes|colon|slash|at) != 0 {
		t, reason := tidy(s)
		if reason != "" {
			return Subject{}, reason
		}
		s, m = t, classify(t)
		switch {
		case m&control != 0 || m&high != 0 && strings.ContainsFunc(s, unicode.IsControl):
			return Subject{}, "contains a control character"
		case m&high != 0 && !utf8.ValidString(s):
			return Subject{}, "is not UTF-8"
		}
	}
	if s == "" {
		return Subject{}, "nothing to look up"
	}
	if a, ok := parseAddr(s); ok {
		return Subject{kind: Address, addr: a}, ""
	}
	if sub, reason, ok := parseAS(s); ok {
		return sub, reason
	}
	if first, last, reason, ok := parseRange(s); ok {
		return oneOfRange(first, last, reason)
	}
	return parseWord(s, m)
}

// parseWord reads what is no plain address, AS number or range, by the marks in it.
func parseWord(s string, m class) (Subject, string) {
	if m&space != 0 {
		return Subject{}, "more than one word"
	}
	if m&slash != 0 && m&colon != 0 {
		if authority, ok := authorityOf(s); ok {
			return parseAuthority(authority)
		}
	}
	switch {
	case m&at != 0:
		return parseMail(s)
	case m&slash != 0:
		return parseSlash(s)
	case m&colon != 0:
		return parseColon(s)
	}
	return parseName(s, m)
}

// parseColon reads host:port and [address]:port. A word with more colons could only be a mistaken IPv6 address, or a name.
func parseColon(s string) (Subject, string) {
	host, port := splitPort(s)
	if host != "" && len(host) < len(s) {
		sub, reason := parse(host)
		switch {
		case reason != "":
			return Subject{}, reason
		case sub.kind == Address || sub.kind == Domain:
			if n, err := strconv.ParseUint("0"+port, 10, 64); err != nil || n > 0xffff {
				return Subject{}, "port " + cut(port, 20) + " is more than 65535"
			}
			return sub, ""
		}
	}
	if looksIPv6(s) {
		return Subject{}, "not an IPv6 address"
	}
	return wordOf(s)
}

// splitPort cuts a decimal, perhaps empty, port from "host:port" or "[address]:port". Where there is none, or the host has
// colons outside of brackets, host is s.
func splitPort(s string) (host, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i+1 < len(s) && classify(s[i+1:]) != digit {
		return s, ""
	}
	host = s[:i]
	if strings.Contains(host, ":") && (host[0] != '[' || host[len(host)-1] != ']') {
		return s, ""
	}
	return host, s[i+1:]
}

// oneOfRange is a range as a single subject, if it is one prefix.
func oneOfRange(first, last netip.Addr, reason string) (Subject, string) {
	if reason != "" {
		return Subject{}, reason
	}
	ss := appendCover(nil, first, last)
	if len(ss) > 1 {
		return Subject{}, "a range of " + strconv.Itoa(len(ss)) + " prefixes, where one subject is asked for"
	}
	return ss[0], ""
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
