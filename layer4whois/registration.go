package layer4whois

import (
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
)

// registrationKeys are the words for the fields of a registration (docs/fields.md): those of ICANN's agreement with registrars (RAA
// 2013, specification 3), which nearly every program that reads WHOIS knows. A field that is not here is not shown: it is in the
// comment above, or says what others do.
var registrationKeys = map[string]string{
	"domain_name": "Domain Name", "registry_domain_id": "Registry Domain ID", "whois_server": "Registrar WHOIS Server",
	"referral_url": "Registrar URL", "updated": "Updated Date", "created": "Creation Date", "expires": "Registry Expiry Date",
	"registrar": "Registrar", "registrar_iana_id": "Registrar IANA ID", "abuse_email": "Registrar Abuse Contact Email",
	"abuse_phone": "Registrar Abuse Contact Phone", "status": "Domain Status", "name_servers": "Name Server", "dnssec": "DNSSEC",
}

// contactKeys are the words for the fields of a contact, behind its role.
var contactKeys = map[string]string{
	"name": "Name", "organization": "Organization", "address": "Street", "city": "City", "state": "State/Province",
	"postal_code": "Postal Code", "country": "Country", "phone": "Phone", "email": "Email",
}

var contactRoles = map[string]string{"registrant": "Registrant", "admin": "Admin", "tech": "Tech", "billing": "Billing"}

// registrationKey is the word for a field of a registration, empty where it has none.
func registrationKey(key string) string {
	if word, ok := registrationKeys[key]; ok {
		return word
	}
	role, field, _ := strings.Cut(key, "_")
	if contactRoles[role] == "" || contactKeys[field] == "" {
		return ""
	}
	return contactRoles[role] + " " + contactKeys[field]
}

// isRegistration reports whether f is what a registry says of a domain: its first field is "registration", and it names a domain.
func isRegistration(f *enrich.Fragment) bool {
	fields := f.Fields()
	if len(fields) == 0 || fields[0].Key != "registration" {
		return false
	}
	for i := range fields {
		if fields[i].Key == "domain_name" {
			return true
		}
	}
	return false
}

// appendRegistrations appends the registrations that a record has, each below a comment that says from where and when it is.
func appendRegistrations(dst []byte, r *enrich.Record, now time.Time) []byte {
	for _, p := range r.Parts() {
		if isRegistration(p.Fragment) {
			dst = appendProvenance(dst, p.Fragment, now)
			dst = append(dst, p.Fragment.Form(linesForm, appendRegistration)...)
		}
	}
	return dst
}

// appendProvenance appends "% registered, says rdap.example over RDAP, 2026-11-21T13:00:00Z (5m0s ago)".
func appendProvenance(dst []byte, f *enrich.Fragment, now time.Time) []byte {
	var class, via, server, reason string
	for _, fd := range f.Fields() {
		switch fd.Key {
		case "registration":
			class = fd.Value
		case "registration_via":
			via = fd.Value
		case "registration_server":
			server = fd.Value
		case "registration_reason":
			reason = fd.Value
		}
	}
	dst = append(append(dst, "% "...), class...)
	if server != "" {
		dst = append(append(dst, ", says "...), server...)
	}
	if via != "" {
		dst = append(append(dst, " over "...), strings.ToUpper(via)...)
	}
	if t := f.AsOf(); !t.IsZero() {
		dst = append(t.UTC().AppendFormat(append(dst, ", "...), time.RFC3339), " ("...)
		dst = append(append(dst, max(now.Sub(t), 0).Truncate(time.Second).String()...), " ago)"...)
	}
	dst = append(dst, crlf...)
	if reason != "" {
		dst = append(append(append(dst, "% "...), reason...), crlf...)
	}
	return dst
}

// appendRegistration appends the fields in the words of the RAA. What is said of a name that is not registered is said in words
// that programs look for.
func appendRegistration(dst []byte, f *enrich.Fragment) []byte {
	fields := f.Fields()
	name := ""
	for i := range fields {
		key, value := registrationKey(fields[i].Key), fields[i].Value
		switch {
		case fields[i].Key == "domain_name":
			name = value
		case fields[i].Key == "redacted":
			key, value = registrationKey(value), "REDACTED FOR PRIVACY"
		case fields[i].Canon == enrich.RegStatus && isEPP(value):
			value += " https://icann.org/epp#" + value
		}
		if key != "" {
			dst = append(append(dst, key...), ": "...)
			dst = append(append(dst, value...), crlf...)
		}
	}
	switch fields[0].Value {
	case "registered":
	case "available":
		dst = append(append(append(dst, "No match for "...), name...), ": not registered\r\n"...)
	case "reserved":
		dst = append(append(append(dst, "The name "...), name...), " is reserved by the registry\r\n"...)
	default:
		dst = append(append(dst, "Registration: "...), fields[0].Value...)
		dst = append(dst, crlf...)
	}
	return dst
}

// isEPP reports whether s is written as an EPP status (RFC 5731), which ICANN has a page about.
func isEPP(s string) bool {
	if len(s) < 2 {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s == "ok" || s == "inactive" || strings.ContainsAny(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}
