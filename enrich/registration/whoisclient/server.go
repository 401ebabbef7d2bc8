package whoisclient

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/whence-project/whence/internal/egress"
)

// DefaultPort is the port of the WHOIS protocol (RFC 3912).
const DefaultPort = 43

// Server is a WHOIS server and the way it wants to be asked.
type Server struct {
	Host    string // host name or address, no port
	Port    uint16 // 0: 43
	Query   string // what is sent for a name, "%s" standing for it; empty: the name
	Charset string // of replies that are not UTF-8, a name of IANA's registry of character sets; empty: told from the bytes
	Unicode bool   // names are sent as U-labels (RFC 5890) in UTF-8, not as A-labels
}

// ParseServer reads "host", "host:port", an address, or "[address]:port". Names come out in lower case and A-labels, addresses in
// their usual spelling. The error says what is wrong with s.
func ParseServer(s string) (Server, error) {
	host, port := s, ""
	switch colon := strings.LastIndexByte(s, ':'); {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return Server{}, fmt.Errorf("WHOIS server %q: no closing bracket", s)
		}
		host, port = s[:end+1], s[end+1:]
		if port != "" && port[0] != ':' {
			return Server{}, fmt.Errorf("WHOIS server %q: want [address]:port", s)
		}
	case colon >= 0 && strings.IndexByte(s, ':') == colon:
		host, port = s[:colon], s[colon:]
	}
	var server Server
	if port != "" {
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || n == 0 || port[1] == '+' {
			return Server{}, fmt.Errorf("WHOIS server %q: %q is no port", s, port[1:])
		}
		if n != DefaultPort { // so that equal servers are equal values
			server.Port = uint16(n)
		}
	}
	name, err := egress.ParseHost(host)
	if err != nil {
		var refused *egress.RefusedError
		if errors.As(err, &refused) {
			return Server{}, fmt.Errorf("WHOIS server %q: %s", s, refused.Why)
		}
		return Server{}, fmt.Errorf("WHOIS server %q: %w", s, err)
	}
	server.Host = name
	return server, nil
}

// Addr is the server as it is dialled, "host:port".
func (s Server) Addr() string {
	port := s.Port
	if port == 0 {
		port = DefaultPort
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(int(port)))
}

// String is the host, with the port where it is not 43; [ParseServer] reads it.
func (s Server) String() string {
	if s.Port != 0 && s.Port != DefaultPort {
		return s.Addr()
	}
	return s.Host
}
