package dotforward

import (
	"net/netip"
	"time"

	"github.com/whence-project/whence/dotforward/lists"
	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/internal/hotfiles"
)

// DefaultHostsTTL is the TTL in seconds of what hosts files say: they may change at any time.
const DefaultHostsTTL = 60

// Hosts is a Handler that answers from hosts files: addresses of names, and names of addresses. A name that they have is theirs
// alone: of other records it has none, and nobody outside is asked for them.
type Hosts struct {
	hosts *lists.Hosts
	ttl   uint32
}

// NewHosts makes a Hosts. ttl is in seconds; 0: DefaultHostsTTL.
func NewHosts(h *lists.Hosts, ttl uint32) *Hosts {
	if ttl == 0 {
		ttl = DefaultHostsTTL
	}
	return &Hosts{h, ttl}
}

// Status says how the files are.
func (h *Hosts) Status() hotfiles.Status { return h.hosts.Status() }

// Stage is Decide.
func (h *Hosts) Stage() Stage { return Decide }

// Generation is that of the files.
func (h *Hosts) Generation(time.Time) uint64 { return h.hosts.Generation() }

// Handle answers what the files know.
func (h *Hosts) Handle(q *Query) Verdict {
	if q.Type() == wire.TypePTR {
		if addr, ok := lists.ReverseAddr(q.Name()); ok {
			if names := h.hosts.Names(nil, addr); len(names) > 0 {
				return q.Records(names, h.ttl)
			}
			return Next
		}
	}
	var room [16]netip.Addr
	addrs, ok := h.hosts.Lookup(room[:0], q.Name())
	if !ok {
		return Next
	}
	return q.Addresses(addrs, h.ttl, wire.NoEDE, "")
}

var _ Stable = (*Hosts)(nil)
