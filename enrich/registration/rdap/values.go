package rdap

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// hostName is a host or domain name in lower case and A-labels, without the final dot; empty for what cannot be one.
func hostName(s string) string {
	s = strings.TrimSuffix(s, ".")
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return ""
			}
			s = ascii
			break
		}
	}
	if len(s) > 253 || strings.ContainsAny(s, " /:@?#\\\"'<>,;()") || strings.Contains(s, "..") {
		return ""
	}
	return strings.ToLower(s)
}

// rdapStatus are the status values of RFC 8056 §2 for which EPP has codes that are the same words in camel case.
var rdapStatus = [...]string{"add period", "auto renew period", "client delete prohibited", "client hold", "client renew prohibited",
	"client transfer prohibited", "client update prohibited", "inactive", "pending create", "pending delete", "pending renew",
	"pending restore", "pending transfer", "pending update", "redemption period", "renew period", "server delete prohibited",
	"server hold", "server renew prohibited", "server transfer prohibited", "server update prohibited", "transfer period"}

// eppStatus are the EPP codes by their letters alone, as servers write either form in any case.
var eppStatus = func() map[string]string {
	m := map[string]string{"active": "ok", "associated": "linked"}
	for _, words := range rdapStatus {
		var code strings.Builder
		for i, word := range strings.Fields(words) {
			if i > 0 {
				word = strings.ToUpper(word[:1]) + word[1:]
			}
			code.WriteString(word)
		}
		m[strings.ToLower(code.String())] = code.String()
	}
	return m
}()

// statusCode is the EPP code (RFC 5731 §2.3, RFC 3915 §3.1) of a domain's status; other words are in lower case.
func statusCode(s string, domain bool) string {
	s, _, _ = strings.Cut(s, " http") // some add the address of an explanation
	s = strings.ToLower(strings.TrimSpace(s))
	if !domain {
		return s
	}
	var b [32]byte
	n := 0
	for i := range len(s) {
		if s[i] == ' ' || s[i] == '_' || s[i] == '-' {
			continue
		}
		if n == len(b) {
			return s
		}
		b[n] = s[i]
		n++
	}
	if code, ok := eppStatus[string(b[:n])]; ok {
		return code
	}
	return s
}

// layouts of times. RFC 9083 §3 wants that of RFC 3339.
var layouts = [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05",
	"2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02"}

// parseTime is a time in UTC, zero where s is none. Times before the registries began and those of the far future are what
// programs write that know no time: 1 January of year 1, 31 December 9999.
func parseTime(s string) time.Time {
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t = t.UTC(); t.Year() <= 1970 || t.Year() > 2200 {
			return time.Time{}
		}
		return t
	}
	return time.Time{}
}

// unique drops repetitions, empty strings among them, and keeps the order.
func unique(list []string) []string {
	kept := list[:0]
	for _, s := range list {
		if s != "" && !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// webURL is s where that is an http or https URL.
func webURL(s string) string {
	if u, err := url.Parse(s); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		return s
	}
	return ""
}
