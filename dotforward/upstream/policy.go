package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

type policyKind uint8

const (
	sequential policyKind = iota
	random
	fastest
	race
	quorum
)

// Policy is which servers of a pool a query goes to, and which reply wins. Whatever it is, a server that fails, or says SERVFAIL,
// REFUSED, NOTIMP or FORMERR, is followed by the next while there is one; such a reply is only given to the caller when nobody has a
// better one.
// The zero Policy is [Sequential].
type Policy struct {
	kind  policyKind
	width int // servers asked at the same time
	need  int // replies that must agree
	agree func(a, b []byte) bool
}

// Sequential asks the first server that is up, in the order of the pool.
func Sequential() Policy { return Policy{kind: sequential, width: 1} }

// Random asks a server that is up, any.
func Random() Policy { return Policy{kind: random, width: 1} }

// Fastest asks the server with the lowest moving average of its latency. Servers that were not asked for ten seconds are probed
// beside the queries, so that one that has become faster is found.
func Fastest() Policy { return Policy{kind: fastest, width: 1} }

// Race asks the first n servers that are up at the same time and takes the first reply.
func Race(n int) Policy { return Policy{kind: race, width: n} }

// Quorum asks m servers at the same time and takes the first reply that, itself counted, n agree with. agree compares two
// replies; it may be called from several goroutines and must not keep or change them. See [DisagreeError].
func Quorum(n, m int, agree func(a, b []byte) bool) Policy {
	return Policy{kind: quorum, width: m, need: n, agree: agree}
}

func (p Policy) String() string {
	switch p.kind {
	case random:
		return "random"
	case fastest:
		return "fastest"
	case race:
		return fmt.Sprintf("race %d", p.width)
	case quorum:
		return fmt.Sprintf("quorum %d of %d", p.need, p.width)
	}
	return "sequential"
}

// check says what is wrong with the policy for a pool of so many servers.
func (p Policy) check(servers int) error {
	switch {
	case p.width < 1 || p.width > servers:
		return fmt.Errorf("%v: the pool has %d servers", p, servers)
	case p.kind == quorum && (p.need < 2 || p.need > p.width):
		return fmt.Errorf("%v: at least 2 and at most all that are asked must agree", p)
	case p.kind == quorum && p.agree == nil:
		return errors.New("quorum: nothing to compare replies with")
	}
	return nil
}

// pick is the next server for an ask, -1 if there is none: one that is up, and in neither set. Sets are bits by place.
func (p *Pool) pick(a *ask, avoid uint64) int {
	best, seen := -1, 0
	for i, s := range p.servers {
		if (a.tried|avoid)>>i&1 != 0 || s.isDown() && !a.once {
			continue
		}
		seen++
		switch {
		case best < 0:
			best = i
		case p.policy.kind == random && rand.IntN(seen) == 0:
			best = i
		case p.policy.kind == fastest && s.latency.Load() < p.servers[best].latency.Load():
			best = i
		}
		if p.policy.kind != random && p.policy.kind != fastest {
			break
		}
	}
	return best
}

// DNS response codes (RFC 1035 §4.1.1) that say more about the server than about the name. The query was well-formed.
const (
	rcodeFormErr  = 1
	rcodeServFail = 2
	rcodeNotImp   = 4
	rcodeRefused  = 5
)

// usable reports whether a reply may win. What is truncated on a stream is no answer.
func usable(reply []byte) bool {
	switch rcode(reply) {
	case rcodeFormErr, rcodeServFail, rcodeNotImp, rcodeRefused:
		return false
	}
	return reply[2]&flagTC == 0
}

// agreed is the place of the first reply that enough others agree with, -1 if there is none.
func (p Policy) agreed(replies []Reply) int {
	for i := range replies {
		n := 0
		for j := range replies {
			if i == j || p.agree(replies[i].Msg, replies[j].Msg) {
				n++
			}
		}
		if n >= p.need {
			return i
		}
	}
	return -1
}
