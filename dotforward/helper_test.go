package dotforward

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/upstream/dottest"
	"github.com/whence-project/whence/dotforward/wire"
)

const serverName = "dns.test"

var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	cert, roots, err := dottest.Certificate(serverName, "127.0.0.1", "192.0.2.53")
	if err != nil {
		panic(err)
	}
	return cert, roots
})

// rig is a Server with a cache and an upstream server in memory. Everything ends with close.
type rig struct {
	testing.TB
	*Server
	fake  *dottest.Server
	up    *upstream.Server
	pool  *upstream.Pool
	cache *cache.Cache

	dropped atomic.Int32 // messages of which it was said that there is no reply
}

func upstreamOf(t testing.TB, address string) (*dottest.Server, *upstream.Server, *upstream.Pool) {
	t.Helper()
	cert, roots := certificate()
	fake := dottest.New(cert)
	up, err := upstream.NewDoT(upstream.Options{Host: address, Name: serverName, Roots: roots, Dial: fake.Dial})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := upstream.NewPool(upstream.PoolOptions{}, up)
	if err != nil {
		t.Fatal(err)
	}
	return fake, up, pool
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	r := &rig{TB: t}
	r.fake, r.up, r.pool = upstreamOf(t, "192.0.2.53")
	var err error
	if r.cache, err = cache.New(cache.Options{MaxBytes: 4 << 20}); err != nil {
		t.Fatal(err)
	}
	o := Options{Cache: r.cache, Pool: r.pool}
	if change != nil {
		change(&o)
	}
	if r.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// close ends it all, within a synctest bubble too. It is called by the test itself: in a bubble nothing may go on after it.
func (r *rig) close() {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		r.Errorf("server: %v", err)
	}
	r.pool.Close(ctx)
	r.up.Close(ctx)
	r.fake.Stop()
	r.cache.Close()
}

var client = netip.MustParseAddrPort("127.0.0.1:5353")

// start has a message answered and returns where its reply comes.
func (r *rig) start(msg []byte, t Transport) <-chan []byte {
	replies := make(chan []byte, 2) // more than one would be seen
	r.ServeMessage(msg, client, t, func(reply []byte) {
		if reply == nil {
			r.dropped.Add(1)
			return
		}
		replies <- bytes.Clone(reply)
	})
	return replies
}

// exchange asks and waits for the reply.
func (r *rig) exchange(m *dns.Msg, t Transport) *dns.Msg {
	r.Helper()
	return unpack(r, <-r.start(pack(r, m), t))
}

// ask is exchange over UDP of a question with recursion desired; with edns the query has an OPT record.
func (r *rig) ask(name string, qtype uint16, edns bool) *dns.Msg {
	r.Helper()
	return r.exchange(query(name, qtype, edns), UDP)
}

func query(name string, qtype uint16, edns bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, qtype)
	if edns {
		m.SetEdns0(1232, false)
	}
	return m
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func unpack(t testing.TB, msg []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		t.Fatalf("%x: %v", msg, err)
	}
	return m
}

// ede is the info code of the extended error in m, -1 for none.
func ede(m *dns.Msg) int {
	if o := m.IsEdns0(); o != nil {
		for _, opt := range o.Option {
			if e, ok := opt.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode)
			}
		}
	}
	return -1
}

// count is how many queries had an outcome.
func (r *rig) count(o Outcome) (n uint64) {
	r.State().Counters().Each(func(c Count) bool {
		if c.Outcome == o {
			n += c.Queries
		}
		return true
	})
	return n
}

// keep puts a reply into the cache.
func (r *rig) keep(m, reply *dns.Msg) {
	r.Helper()
	var q wire.Query
	var a wire.Answer
	wire.ParseQuery(pack(r, m), &q)
	msg := pack(r, reply)
	if err := wire.ScanAnswer(msg, &a); err != nil {
		r.Fatal(err)
	}
	if !r.cache.Put(&cache.Key{Question: q.Key(), Space: r.space}, msg, &a, time.Now(), cache.Meta{}) {
		r.Fatal("the cache does not keep it")
	}
}
