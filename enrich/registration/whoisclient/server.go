// Package whoisclient asks WHOIS servers (RFC 3912): one query, one reply, with a deadline, a size and a charset.
package whoisclient

// Server is a WHOIS server and the way it wants to be asked.
type Server struct {
	Host    string // host name or address, no port
	Port    uint16 // 0: 43
	Query   string // what is sent for a name, "%s" standing for it; empty: the name
	Charset string // of replies that are not UTF-8, a name of IANA's registry of character sets; empty: told from the bytes
	Unicode bool   // names are sent as U-labels (RFC 5890), not as A-labels
}
