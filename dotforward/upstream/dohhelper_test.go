package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// site is a DNS server over HTTPS that is dialled in memory.
type site struct {
	*httptest.Server
	accept  chan net.Conn
	closed  chan struct{}
	once    sync.Once
	handler atomic.Pointer[http.HandlerFunc]
	conns   atomic.Int64
	asked   atomic.Int64
}

func (s *site) Accept() (net.Conn, error) {
	select {
	case c := <-s.accept:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *site) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *site) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 53), Port: 443} }

func (s *site) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.accept <- far:
		s.conns.Add(1)
		return near, nil
	case <-s.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *site) behave(h http.HandlerFunc) { s.handler.Store(&h) }

// newSite starts a site that answers; change may change the server before it starts.
func newSite(change func(*httptest.Server)) *site {
	cert, _ := certificate()
	s := &site{accept: make(chan net.Conn), closed: make(chan struct{})}
	s.behave(answerHTTP)
	s.Server = &httptest.Server{Listener: s, EnableHTTP2: true, Config: &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.asked.Add(1)
			(*s.handler.Load())(w, r)
		}),
	}}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if change != nil {
		change(s.Server)
	}
	s.StartTLS()
	return s
}

// newHTTPFarm is a farm of servers over HTTPS.
func newHTTPFarm(t *testing.T, sites []*site, po PoolOptions, change func(*Options)) *farm {
	t.Helper()
	_, roots := certificate()
	f := &farm{t: t, events: make(chan Event, 1000)}
	for _, site := range sites {
		o := Options{Host: "192.0.2.53", Name: serverName, Roots: roots, Dial: site.dial, OnEvent: func(e Event) { f.events <- e }}
		if change != nil {
			change(&o)
		}
		s, err := NewDoH(o)
		if err != nil {
			t.Fatal(err)
		}
		f.servers = append(f.servers, s)
	}
	pool, err := NewPool(po, f.servers...)
	if err != nil {
		t.Fatal(err)
	}
	f.pool = pool
	return f
}

func answerHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Write(replyTo(q))
}

// replyTo is a reply to q with one address.
func replyTo(q []byte) []byte {
	reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, q[headerSize:endOfQuestion(q)]...)
	return append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1)
}
