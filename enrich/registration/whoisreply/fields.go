package whoisreply

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// field is what a key's value tells.
type field uint8

const (
	noField field = iota
	fDomain
	fCreated
	fUpdated
	fExpires
	fRegistrar
	fRegistrarID
	fNameServer
	fStatus
	fAvailable // "Available: yes"
	fWhois
	fReferral
	fDNSSEC
	fHost   // a name server of a section of its own: "Host Name"
	fServer // a host object beside the domain's: "Server Name"
	fHandle // the handle of a contact object
	fRole   // names a contact: the value is a name or handle, or the lines after it are the contact
	fObject // begins an object that is neither the domain nor a contact
	// fields of a contact
	fName
	fOrganization
	fAddress
	fCity
	fState
	fPostalCode
	fCountry
	fEmail
	fPhone
	fGiven // the parts of a name
	fFamily
	fDescr // what the registration is, in a letter's lines: whose
	fURL   // of whoever is spoken of
)

// role is whom a part of a reply is about.
type role uint8

const (
	ofDomain role = iota
	ofRegistrar
	ofRegistrant
	ofAdmin
	ofTech
	ofBilling
	ofOther   // a set of servers or keys, a remark: nothing in it is the domain's
	ofForeign // another domain or host that the server also found
	numRoles
)

// entry is what a key means.
type entry struct {
	field   field
	role    role
	weak    bool // a word so common ("created") that it counts only where the domain is spoken of
	heading bool // opens a section even without a colon
	only    bool // opens a section, never a value's key
}

// roleWords are the words by which a key says whose contact it is: "registrant name", "owner-c-name", "Nom Registrant".
var roleWords = map[string]role{
	"registrant": ofRegistrant, "owner": ofRegistrant, "holder": ofRegistrant, "org": ofRegistrant, "titular": ofRegistrant,
	"등록인": ofRegistrant, "admin": ofAdmin, "administrative": ofAdmin, "adm": ofAdmin, "ac": ofAdmin, "책임자": ofAdmin,
	"administrator": ofAdmin, "tech": ofTech, "technical": ofTech, "tec": ofTech, "techical": ofTech, "zone": ofTech, "bill": ofBilling,
	"billing": ofBilling, "administratif": ofAdmin, "technique": ofTech, "administrativo": ofAdmin, "tecnico": ofTech, "técnico": ofTech, "registrar": ofRegistrar, "reseller": ofOther, "abuse": ofOther,
}

// table is keys by normal name.
var table = func() map[string]*entry {
	m := make(map[string]*entry, 800)
	for _, k := range slices.Concat(keys[:], tongues[:]) {
		for name := range strings.SplitSeq(k.names, "|") {
			e := entry{field: k.field, role: k.role}
			for {
				switch {
				case strings.HasPrefix(name, "~"):
					e.weak = true
				case strings.HasPrefix(name, "="):
					e.heading = true
				case strings.HasPrefix(name, "!"):
					e.heading, e.only = true, true
				default:
					goto done
				}
				name = name[1:]
			}
		done:
			var b [maxKey]byte
			for _, name := range [...]string{name, latin1(name)} {
				if n := string(normal(b[:0], name)); n != "" && m[n] == nil {
					m[n] = &e
				}
			}
		}
	}
	return m
}()

// latin1 is s in Latin-1, which some replies are still in when they come here; "" where it has no such form.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return ""
		}
		b = append(b, byte(r))
	}
	return string(b)
}

// normal appends s in the form of the table's keys: lower case, what is in ASCII and no letter or digit one space.
func normal(b []byte, s string) []byte {
	gap := false
	for i := 0; i < len(s) && len(b) < cap(b)-1; i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= 0x80:
			if gap && len(b) > 0 {
				b = append(b, ' ')
			}
			gap = false
			n := 0
			if b, n = appendFolded(b, s[i:]); n == 0 {
				return b
			}
			i += n - 1
			continue
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			gap = true
			continue
		}
		if gap && len(b) > 0 {
			b = append(b, ' ')
		}
		gap = false
		b = append(b, c)
	}
	return b
}

// appendFolded appends the first letter of s, which is not ASCII, in lower case, and returns how many bytes it took; 0 where there is
// no room. A byte that is not UTF-8 is taken for Latin-1.
func appendFolded(b []byte, s string) ([]byte, int) {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case len(b)+utf8.UTFMax >= cap(b):
		return b, 0
	case r == 'ı' || r == 'İ': // capitals of Turkish written without knowing Turkish
		return append(b, 'i'), n
	case r != utf8.RuneError:
		return utf8.AppendRune(b, unicode.ToLower(r)), n
	case s[0] >= 0xc0 && s[0] <= 0xde && s[0] != 0xd7:
		return append(b, s[0]|0x20), 1
	}
	return append(b, s[0]), 1
}

// lookup is the meaning of a key that is in the table as it stands, but for a number at its end; nil for any other.
func lookup(key string) *entry {
	var buf [maxKey]byte
	return find(normal(buf[:0], key))
}

func find(b []byte) *entry {
	if e := table[string(b)]; e != nil {
		return e
	}
	n := len(b)
	for n > 0 && (isDigit(b[n-1]) || b[n-1] == ' ') {
		n--
	}
	if n == 0 {
		return nil
	}
	if n < len(b) {
		return table[string(b[:n])]
	}
	if i := bytes.IndexByte(b, ' '); i > 1 && isDigit(b[i-1]) { // "ns1 hostname"
		n = i
		for n > 0 && isDigit(b[n-1]) {
			n--
		}
		var buf [maxKey]byte
		return table[string(append(append(buf[:0], b[:n]...), b[i:]...))]
	}
	return nil
}

// suffixes are what headings add to the name of a field.
var suffixes = [...]string{" in the listed order", " in listed order", " listed in order", " information", " details", " s", " yyyy mm dd",
	" mm dd yyyy", " dd mm yyyy", " utc", " gmt", " jst", " db"}

// resolve is the meaning of any key, as far as it has one.
func resolve(key string) (entry, bool) {
	var buf [maxKey]byte
	b := normal(buf[:0], key)
	if e := find(b); e != nil {
		return *e, true
	}
	if open := strings.IndexByte(key, '('); open > 0 { // "Servidores de nombre (Domain servers)"
		if e := lookup(key[:open]); e != nil {
			return *e, true
		}
		inner, _, _ := strings.Cut(key[open+1:], ")")
		if e := lookup(inner); e != nil {
			return *e, true
		}
	}
	if slash := strings.Index(key, " / "); slash > 0 { // the same in two languages
		if e := lookup(key[slash+3:]); e != nil {
			return *e, true
		}
		if e := lookup(key[:slash]); e != nil {
			return *e, true
		}
	}
	for _, s := range suffixes {
		if len(b) > len(s) && string(b[len(b)-len(s):]) == s {
			if e := find(b[:len(b)-len(s)]); e != nil {
				return *e, true
			}
		}
	}
	return ofRole(b)
}

// ofRole is the meaning of a key that joins whose it is and what: "registrant street", "adresse registrant".
func ofRole(b []byte) (entry, bool) {
	first, last := 0, len(b)
	for first < len(b) && b[first] != ' ' {
		first++
	}
	if first == len(b) {
		return entry{}, false
	}
	for b[last-1] != ' ' {
		last--
	}
	r, ok := roleWords[string(b[:first])]
	rest := b[first+1:]
	if !ok {
		if string(b[:first]) == "registry" || string(b[:first]) == "sponsoring" { // "Registry Admin ID"
			if e := find(rest); e != nil {
				return *e, true
			}
			return ofRole(rest)
		}
		if r, ok = roleWords[string(b[last:])]; !ok {
			return entry{}, false
		}
		rest = b[:last-1]
	}
	for _, filler := range [...]string{"c ", "contact ", "internationalized ", "s "} {
		if len(rest) > len(filler) && string(rest[:len(filler)]) == filler {
			rest = rest[len(filler):]
		}
	}
	if s := bytes.TrimSuffix(rest, []byte(" contact")); len(s) < len(rest) && len(s) > 0 { // "mail contact technique"
		rest = s
	}
	e := find(rest)
	if e == nil || e.field < fHandle || e.field == fRole {
		if r == ofRegistrar || r == ofOther || r == ofDomain {
			return entry{}, false
		}
		return entry{field: fObject, role: r, weak: true}, true // a known contact's unknown field
	}
	return entry{field: e.field, role: r}, true
}
