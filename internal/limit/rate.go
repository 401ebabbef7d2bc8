// Package limit holds what keeps one client from having more than its share: token buckets and connection counts per client
// network, in memory that does not grow with the number of clients. The state outlives the settings: rates may change under
// it, as they do when a configuration is reloaded.
package limit

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen: Events in each Per, and Burst at once after a time of rest. The zero Rate is no limit.
type Rate struct {
	Events int           // at least 1
	Per    time.Duration // the time for so many events
	Burst  int           // at least 1; 0 counts as Events
}

// ParseRate reads "50/m" or "50/1m30s": events and the time they may take, which is a unit (s, m, h, d) or a Go duration. The
// burst is left 0.
func ParseRate(s string) (Rate, error) {
	events, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(events)
	if !ok || err != nil || n < 1 {
		return Rate{}, fmt.Errorf("rate %q: want events/time, such as 50/m", s)
	}
	d, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[per]
	if !ok {
		if d, err = time.ParseDuration(per); err != nil || d <= 0 {
			return Rate{}, fmt.Errorf("rate %q: %q is no unit (s, m, h, d) and no duration", s, per)
		}
	}
	if d/time.Duration(n) == 0 {
		return Rate{}, fmt.Errorf("rate %q: more than one event a nanosecond", s)
	}
	return Rate{Events: n, Per: d}, nil
}

// IsZero reports that r limits nothing.
func (r Rate) IsZero() bool { return r.Events <= 0 || r.Per <= 0 }

// interval is the time after which one more event is allowed, tolerance how far a client may be ahead of it.
func (r Rate) interval() (interval, tolerance int64) {
	interval = max(int64(r.Per)/int64(r.Events), 1)
	burst := int64(r.Burst)
	if burst <= 0 {
		burst = int64(r.Events)
	}
	const most = 1 << 62
	if burst-1 > most/interval {
		return interval, most
	}
	return interval, (burst - 1) * interval
}

// Network says how many bits of an address make one client: who has a /48 of IPv6 is one client with 2^80 addresses.
type Network struct {
	Bits4 int // 0 to 32
	Bits6 int // 0 to 128
}

// Of is the first address of the network that a counts for. IPv4-mapped addresses count as IPv4, zones are dropped.
func (n Network) Of(a netip.Addr) netip.Addr {
	a = a.Unmap()
	bits := n.Bits6
	if a.Is4() {
		bits = n.Bits4
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return a
	}
	return p.Addr()
}
