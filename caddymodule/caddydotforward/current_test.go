package caddydotforward

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/wire"
)

// gate is a handler that lets queries pass when it is told to.
type gate struct{ entered, open chan struct{} }

func (gate) Stage() dotforward.Stage { return dotforward.Admit }

func (g gate) Handle(*dotforward.Query) dotforward.Verdict {
	g.entered <- struct{}{}
	<-g.open
	return dotforward.Next
}

// answer is one that answers.
type answer struct{}

func (answer) Stage() dotforward.Stage { return dotforward.Decide }

func (answer) Handle(q *dotforward.Query) dotforward.Verdict {
	return q.Addresses([]netip.Addr{netip.MustParseAddr("192.0.2.1")}, 60, wire.NoEDE, "")
}

func appWith(t *testing.T, handlers ...dotforward.Handler) *App {
	t.Helper()
	c, err := cache.New(cache.Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	u, err := upstream.NewDoT(upstream.Options{Host: "192.0.2.53", Name: "dns.test"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := upstream.NewPool(upstream.PoolOptions{}, u)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dotforward.New(dotforward.Options{Cache: c, Pool: p, Handlers: append(handlers, answer{})})
	if err != nil {
		t.Fatal(err)
	}
	return &App{server: s}
}

// TestHandOver has an app's place taken while a message of a connection is being handed to its server, which must not refuse it.
func TestHandOver(t *testing.T) {
	g := gate{make(chan struct{}), make(chan struct{})}
	older, newer := appWith(t, g), appWith(t)
	q, err := new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	replies := make(chan *dns.Msg, 2)
	ask := func() {
		serveMessage(q, netip.MustParseAddrPort("127.0.0.1:53000"), dotforward.TCP, func(b []byte) {
			reply := new(dns.Msg)
			if err := reply.Unpack(b); err != nil {
				t.Error(err)
			}
			replies <- reply
		})
	}
	current.set(older)
	go ask()
	<-g.entered
	current.set(newer)
	left := make(chan error)
	go func() {
		current.unset(older)
		left <- older.server.Close(context.Background())
	}()
	waiting := func() bool { // for the message: nobody else gets the lock
		free := older.handing.TryRLock()
		if free {
			older.handing.RUnlock()
		}
		return !free
	}
	for !waiting() {
		select {
		case <-left:
			t.Fatal("the older app left with a message in its hands")
		default:
		}
	}
	ask()
	close(g.open)
	if err := <-left; err != nil {
		t.Error(err)
	}
	if older.hand(q, netip.AddrPort{}, dotforward.TCP, nil) {
		t.Error("an app that has left took a message")
	}
	for range 2 {
		if reply := <-replies; reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Errorf("answered %v", reply)
		}
	}
	current.unset(newer)
}
