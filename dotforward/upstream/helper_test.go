package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

const serverName = "dns.test"

var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	cert, roots, err := dottest.Certificate(serverName, "127.0.0.1", "192.0.2.53")
	if err != nil {
		panic(err)
	}
	return cert, roots
})

// farm is some servers that are dialled in memory, and what asks them. Everything ends with the test.
type farm struct {
	t       *testing.T
	fakes   []*dottest.Server
	servers []*Server
	pool    *Pool
	events  chan Event
}

func newFarm(t *testing.T, n int, po PoolOptions, change func(*Options)) *farm {
	t.Helper()
	cert, roots := certificate()
	f := &farm{t: t, events: make(chan Event, 1000)}
	for range n {
		fake := dottest.New(cert)
		o := Options{Host: "192.0.2.53", Name: serverName, Roots: roots, Dial: fake.Dial, OnEvent: func(e Event) { f.events <- e }}
		if change != nil {
			change(&o)
		}
		s, err := NewDoT(o)
		if err != nil {
			t.Fatal(err)
		}
		f.fakes, f.servers = append(f.fakes, fake), append(f.servers, s)
	}
	pool, err := NewPool(po, f.servers...)
	if err != nil {
		t.Fatal(err)
	}
	f.pool = pool
	return f
}

// end closes everything, within the time of ctx for what is under way.
func (f *farm) end() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := f.pool.Close(ctx); err != nil {
		f.t.Errorf("pool: %v", err)
	}
	for _, s := range f.servers {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		s.Close(ctx)
		cancel()
	}
	for _, fake := range f.fakes {
		fake.Stop()
	}
}

// result is what done was called with; msg is a copy.
type result struct {
	msg  []byte
	from *Server
	err  error
	took time.Duration
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("%v after %v", r.err, r.took)
	}
	return fmt.Sprintf("rcode %d from %v after %v", rcode(r.msg), r.from, r.took)
}

func (f *farm) start(q []byte, timeout time.Duration) <-chan result {
	results := make(chan result, 2) // more than one would be seen as a second result
	began := time.Now()
	f.pool.Ask(q, began.Add(timeout), func(reply []byte, from *Server, err error) {
		results <- result{bytes.Clone(reply), from, err, time.Since(began)}
	})
	return results
}

func (f *farm) ask(name string, timeout time.Duration) result {
	f.t.Helper()
	q := query(name, 1)
	r := <-f.start(q, timeout)
	if r.err == nil {
		f.check(q, r)
	}
	return r
}

// check reports a reply that is not one to q.
func (f *farm) check(q []byte, r result) {
	f.t.Helper()
	if r.from == nil || !bytes.Equal(q[:2], r.msg[:2]) || !answers(r.msg, q[headerSize:endOfQuestion(q)]) {
		f.t.Errorf("%x is no reply to %x", r.msg, q)
	}
}

// query asks for A records; the ID is any.
func query(name string, id uint16) []byte {
	q := binary.BigEndian.AppendUint16(nil, id^0xabcd)
	q = append(q, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	return append(q, 0, 0, 1, 0, 1)
}

// named is a behaviour's Only: queries whose name begins with a label.
func named(label string) func([]byte) bool {
	return func(q []byte) bool {
		return bytes.HasPrefix(q[headerSize:], append([]byte{byte(len(label))}, label...))
	}
}

// addressIn is the only address in an answer of dottest.
func addressIn(msg []byte) netip.Addr {
	at := endOfQuestion(msg) + 12
	return netip.AddrFrom4([4]byte(msg[at : at+4]))
}
