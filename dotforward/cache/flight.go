package cache

import (
	"bytes"
	"time"
)

// Waiter is somebody who asked what somebody else is asking already.
type Waiter interface {
	// Answered is called once, with the answer as the servers gave it, or with nil if there will be none. The answer is valid
	// during the call, which must not block and may use the cache.
	Answered(msg []byte)
}

// Flight is a question that is being asked. Who was given it is its leader and has it end, by Done.
type Flight struct {
	shard   *shard
	hash    uint32
	next    *Flight // another with the same hash
	key     Key
	since   int64 // Unix milliseconds
	done    bool
	waiters []Waiter
	first   [1]Waiter // most have no more
}

// Join has w wait for the answer to k. If nobody is asking for it, or the one who does has not ended it within FlightTimeout, the
// caller is to ask: it is given the flight. ok is false, and w not waiting, if MaxWaiters are waiting already. A caller that only
// wants the answer in the cache waits with nil. A leader puts the answer before it calls Done, so that who comes next finds it.
func (c *Cache) Join(k *Key, w Waiter, now time.Time) (lead *Flight, ok bool) {
	s, h := c.find(k)
	at := now.UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flight(h, k)
	if f == nil {
		f = &Flight{shard: s, hash: h, next: s.flights[h], since: at, key: *k}
		f.key.Question, f.key.Subnet = bytes.Clone(k.Question), bytes.Clone(k.Subnet)
		f.waiters = f.first[:0]
		if s.flights == nil {
			s.flights = make(map[uint32]*Flight)
		}
		s.flights[h] = f
		lead = f
	} else if at-f.since >= c.o.FlightTimeout.Milliseconds() {
		f.since = at
		lead = f
	} else if len(f.waiters) >= c.o.MaxWaiters && w != nil {
		return nil, false
	}
	if w != nil {
		f.waiters = append(f.waiters, w)
	}
	return lead, true
}

func (s *shard) flight(h uint32, k *Key) *Flight {
	f := s.flights[h]
	for f != nil && !f.key.is(k) {
		f = f.next
	}
	return f
}

func (k *Key) is(other *Key) bool {
	return k.Space == other.Space && k.DO == other.DO && k.CD == other.CD && bytes.Equal(k.Question, other.Question) &&
		bytes.Equal(k.Subnet, other.Subnet)
}

// Done ends the flight and tells all who wait, with msg or with nil. It does nothing the second time, and nothing to a flight that
// ended otherwise.
func (f *Flight) Done(msg []byte) {
	f.shard.mu.Lock()
	waiters := f.waiters
	if f.done {
		waiters = nil
	} else {
		f.end()
	}
	f.shard.mu.Unlock()
	for _, w := range waiters {
		w.Answered(msg)
	}
}

// end takes the flight off the shard, which is locked.
func (f *Flight) end() {
	f.done = true
	s := f.shard
	if s.flights[f.hash] == f {
		if f.next == nil {
			delete(s.flights, f.hash)
		} else {
			s.flights[f.hash] = f.next
		}
		return
	}
	for p := s.flights[f.hash]; p != nil; p = p.next {
		if p.next == f {
			p.next = f.next
			return
		}
	}
}

// Expire ends the flights whose leaders have not done so within FlightTimeout, for those who wait, and returns how many there were.
// It is to be called about once a second.
func (c *Cache) Expire(now time.Time) int {
	at, n := now.UnixMilli(), 0
	for i := range c.shards {
		s := &c.shards[i]
		var late []*Flight
		s.mu.Lock()
		for _, f := range s.flights {
			for ; f != nil; f = f.next {
				if at-f.since >= c.o.FlightTimeout.Milliseconds() {
					late = append(late, f)
				}
			}
		}
		s.mu.Unlock()
		for _, f := range late {
			f.Done(nil)
		}
		n += len(late)
	}
	return n
}
