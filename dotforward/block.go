package dotforward

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/lists"
	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/internal/hotfiles"
)

// BlockWith is how what is blocked is answered. All say why to who can read it (RFC 8914).
type BlockWith uint8

// The answers.
const (
	BlockZero     BlockWith = iota // addresses that lead nowhere, 0.0.0.0 and ::, and no other records
	BlockNXDomain                  // there is no such name
	BlockRefused                   // REFUSED
)

func (w BlockWith) String() string { return [...]string{"zero", "nxdomain", "refused"}[w] }

// ParseBlockWith reads zero, nxdomain or refused.
func ParseBlockWith(s string) (BlockWith, error) {
	for w := BlockZero; w <= BlockRefused; w++ {
		if w.String() == s {
			return w, nil
		}
	}
	return 0, fmt.Errorf("%q is no answer for what is blocked: zero, nxdomain or refused", s)
}

// Blocked replies that the name is blocked, to be believed for ttl seconds. It returns Done.
func (q *Query) Blocked(with BlockWith, ttl uint32, ede uint16, text string) Verdict {
	switch with {
	case BlockNXDomain:
		return q.NXDomain(ttl, ede, text)
	case BlockRefused:
		return q.Refuse(ede, text)
	}
	return q.Addresses(nowhere, ttl, ede, text)
}

var nowhere = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}

// DefaultBlockTTL is for how many seconds clients may believe that a name is blocked: lists change.
const DefaultBlockTTL = 60

// Block is a Handler that does not answer for the names on lists. An exception holds for the lists of the same Block.
type Block struct {
	list    *lists.Blocklist
	with    BlockWith
	ttl     uint32
	blocked atomic.Uint64
}

// NewBlock makes a Block. ttl is in seconds; 0: DefaultBlockTTL.
func NewBlock(l *lists.Blocklist, with BlockWith, ttl uint32) *Block {
	if ttl == 0 {
		ttl = DefaultBlockTTL
	}
	return &Block{list: l, with: with, ttl: ttl}
}

// Blocked is how many queries were.
func (b *Block) Blocked() uint64 { return b.blocked.Load() }

// Status says how the files of the lists are.
func (b *Block) Status() hotfiles.Status { return b.list.Status() }

// Stage is Decide.
func (b *Block) Stage() Stage { return Decide }

// Generation is that of the lists.
func (b *Block) Generation(time.Time) uint64 { return b.list.Generation() }

// Handle answers for what is blocked. The list's name is a tag.
func (b *Block) Handle(q *Query) Verdict {
	m := b.list.Match(q.Name(), q.Type())
	if m.Action != lists.Block {
		return Next
	}
	if !q.Trial() {
		b.blocked.Add(1)
	}
	q.Tag(m.List)
	text := ""
	if q.EDNS().Present {
		text = m.String()
	}
	return q.Blocked(b.with, b.ttl, wire.EDEBlocked, text)
}

var _ Stable = (*Block)(nil)
