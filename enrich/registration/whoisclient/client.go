// Package whoisclient asks WHOIS servers (RFC 3912): one query, one reply, with a deadline, a size and a charset.
package whoisclient
