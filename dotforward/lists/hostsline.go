package lists

import (
	"bytes"
	"net/netip"
)

// hosts reads a hosts file's line (hosts(5)) as rules: its names, if the address is one that leads nowhere.
func (r *ruleReader) hosts(number int, a netip.Addr, rest, text []byte) error {
	for name, more := cutField(uncommented(rest)); len(name) > 0; name, more = cutField(more) {
		var err error
		switch {
		case ofTheMachine(a, name):
			r.list.leave(OfTheMachine, number, text)
		case !a.IsUnspecified() && !a.IsLoopback():
			r.list.leave(RealAddress, number, text)
		default:
			scope := self
			if r.subdomains {
				scope |= below
			}
			err = r.add(number, hostsForm, scope, name, text, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// uncommented is a hosts file's line up to its comment.
func uncommented(rest []byte) []byte {
	if i := bytes.IndexByte(rest, '#'); i >= 0 {
		return rest[:i]
	}
	return rest
}

// ownNames are those that systems put into their hosts files for themselves, and lists in that form copy.
var ownNames = map[string]bool{
	"localhost": true, "localhost.localdomain": true, "local": true, "broadcasthost": true, "ip6-localhost": true,
	"ip6-loopback": true, "ip6-localnet": true, "ip6-mcastprefix": true, "ip6-allnodes": true, "ip6-allrouters": true,
	"ip6-allhosts": true, "localhost4": true, "localhost6": true, "localhost4.localdomain4": true,
	"localhost6.localdomain6": true, "localhost.local": true,
}

func ofTheMachine(a netip.Addr, name []byte) bool {
	if a.IsMulticast() || a.Zone() != "" {
		return true
	}
	var lower [32]byte
	return len(name) <= len(lower) && ownNames[string(asciiLower(lower[:0], name))]
}

func asciiLower(dst, text []byte) []byte {
	for _, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
