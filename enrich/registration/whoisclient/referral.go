package whoisclient

import (
	"net/netip"
	"strings"
)

// referralKeys are the keys whose values name the server to ask next, the ones to follow before others first.
var referralKeys = [...]string{
	"referralserver",         // ARIN
	"refer",                  // IANA, of what a registry is responsible for
	"whois",                  // IANA, of a top-level domain
	"registrar whois server", // ICANN's form
	"whois server",           // thin registries before that
}

// Referral is the WHOIS server that a reply refers to, with its host and port and nothing else set. Of several "ReferralServer:"
// lines the last counts, which is that of the smallest network; of others the first. Web addresses, rwhois and other protocols,
// ports below 1024 except 43, and remarks in place of a host ("not available") are no referrals. Loops, also of a server that
// refers to itself, are for the caller to cut. The time is linear in the length of text.
func Referral(text string) (Server, bool) {
	var found [len(referralKeys)]Server
	for len(text) > 0 {
		end := strings.IndexAny(text, "\r\n")
		line := text
		if end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = ""
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		i := referralKey(key)
		if i < 0 || i > 0 && found[i].Host != "" {
			continue
		}
		if s, ok := referralServer(value); ok {
			found[i] = s
		}
	}
	for _, s := range found {
		if s.Host != "" {
			return s, true
		}
	}
	return Server{}, false
}

// referralKey is the place of key among the referralKeys, or -1.
func referralKey(key string) int {
	key = strings.TrimSpace(key)
	if len(key) > 40 {
		return -1
	}
	key = strings.ReplaceAll(key, "_", " ")
	for i, k := range referralKeys {
		if strings.EqualFold(k, key) {
			return i
		}
	}
	return -1
}

// referralServer reads the value beside a referral key.
func referralServer(value string) (Server, bool) {
	value = strings.Trim(value, ": \t\v\f\x00") // "Registrar WHOIS Server: : whois.example.org"
	if len(value) > 300 {
		return Server{}, false
	}
	if len(value) > 8 && strings.EqualFold(value[:8], "whois://") {
		value = value[8:]
	}
	s, err := ParseServer(strings.TrimRight(value, "/"))
	if err != nil || s.Host == "not.defined" || s.Port != 0 && s.Port < 1024 {
		return Server{}, false
	}
	if _, err := netip.ParseAddr(s.Host); err != nil && !strings.Contains(s.Host, ".") { // "None", "NIRA"
		return Server{}, false
	}
	return s, true
}
