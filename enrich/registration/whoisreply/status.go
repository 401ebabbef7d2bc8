package whoisreply

import "strings"

// eppCodes are the status codes of domains: RFC 5731, section 2.3, RFC 3915, section 3.1, and the registration system's own.
var eppCodes = func() map[string]string {
	m := make(map[string]string)
	for _, code := range [...]string{"ok", "active", "inactive", "linked", "associated", "clientDeleteProhibited", "clientHold",
		"clientRenewProhibited", "clientTransferProhibited", "clientUpdateProhibited", "serverDeleteProhibited", "serverHold",
		"serverRenewProhibited", "serverTransferProhibited", "serverUpdateProhibited", "pendingCreate", "pendingDelete",
		"pendingRenew", "pendingTransfer", "pendingUpdate", "pendingRestore", "pendingDeleteRestorable",
		"pendingDeleteScheduledForRelease", "addPeriod", "autoRenewPeriod", "renewPeriod", "transferPeriod", "redemptionPeriod"} {
		m[strings.ToLower(code)] = code
	}
	for old, code := range map[string]string{"clientxferprohibited": "clientTransferProhibited",
		"serverxferprohibited": "serverTransferProhibited"} {
		m[old] = code
	}
	return m
}()

// eppCode is the code that s spells, whatever its case and what stands between its words; "" for another word.
func eppCode(s string) string {
	var buf [40]byte
	b := eppLetters(buf[:0], s)
	if n := len(b); n > 4 && string(b[:4]) == "stcl" { // ST_CL_…, ST_SV_…: the same in a registry's own spelling
		return eppCodes["client"+string(b[4:])]
	} else if n > 4 && string(b[:4]) == "stsv" {
		return eppCodes["server"+string(b[4:])]
	}
	return eppCodes[string(b)]
}

// eppLetters appends the letters of s in lower case, as far as there is room; nothing if there are others than those of a code.
func eppLetters(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= 'a' && c <= 'z':
		case c == ' ' || c == '_' || c == '-' || c == '.' || c == '"':
			continue
		default:
			return b[:0]
		}
		if len(b) == cap(b) {
			return b[:0]
		}
		b = append(b, c)
	}
	return b
}

// addStatus adds the status codes that a value names: one, or a list.
func (p *parser) addStatus(s string) {
	for part := range strings.SplitSeq(s, ",") {
		if i := strings.Index(part, "http"); i >= 0 {
			part = part[:i]
		}
		if i := strings.IndexByte(part, '('); i > 0 {
			part = part[:i]
		}
		part = strings.Trim(part, " \t.-*;:\"<>[]|")
		if i := strings.Index(part, " - "); i > 0 {
			part = part[:i]
		}
		if part == "" || len(part) > 100 {
			continue
		}
		if code := eppCode(part); code != "" {
			p.addTo(&p.reply.Status, code)
		} else if !p.addCodes(part) {
			p.addTo(&p.reply.Status, strings.ToLower(part))
		}
	}
}

// addCodes adds codes that only space parts, if s is nothing else.
func (p *parser) addCodes(s string) bool {
	if !strings.Contains(s, " ") {
		return false
	}
	for word := range strings.FieldsSeq(s) {
		if eppCode(word) == "" {
			return false
		}
	}
	for word := range strings.FieldsSeq(s) {
		p.addTo(&p.reply.Status, eppCode(word))
	}
	return true
}
