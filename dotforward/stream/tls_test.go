package stream

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

const serverName = "dns.test"

var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	cert, roots, err := dottest.Certificate(serverName)
	if err != nil {
		panic(err)
	}
	return cert, roots
})

// serveTLS starts a server for DNS over TLS.
func serveTLS(t testing.TB, o Options) (*Server, net.Addr) {
	t.Helper()
	cert, _ := certificate()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"dot"}})
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, o), ln.Addr()
}

func clientTLS(alpn ...string) *tls.Config {
	_, roots := certificate()
	return &tls.Config{ServerName: serverName, RootCAs: roots, NextProtos: alpn, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

func TestTLS(t *testing.T) {
	d := newDesk()
	s, addr := serveTLS(t, Options{Handler: d.handle})
	config := clientTLS("dot")
	for range 2 {
		c := tls.Client(dial(t, addr), config)
		send(t, c, query(1, false), query(2, true))
		calls := d.take(t, 2)
		for i := range calls {
			q := calls[1-i]
			if q.over != dotforward.TLS {
				t.Errorf("over %v, want TLS", q.over)
			}
			q.respond(answerTo(q.msg))
			if r := expect(t, c); int(r.Id) != 2-i {
				t.Errorf("reply %d, want %d", r.Id, 2-i)
			}
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != "dot" {
			t.Errorf("ALPN %q, want dot", got)
		}
		c.CloseWrite()
		expectEOF(t, c)
	}
	if st := s.Stats(); st.Handshakes != 2 || st.Resumed != 1 {
		t.Errorf("%+v, want 2 handshakes, 1 resumed", st)
	}
}

func TestTLSClient(t *testing.T) {
	_, addr := serveTLS(t, Options{})
	client := &dns.Client{Net: "tcp-tls", TLSConfig: clientTLS("dot"), Timeout: soon}
	r, _, err := client.Exchange(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), addr.String())
	if err != nil || len(r.Answer) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
}

// Clients that speak something else, or nothing at all, are neither served nor waited for.
func TestTLSHandshakeFails(t *testing.T) {
	s, addr := serveTLS(t, Options{Idle: 50 * time.Millisecond})
	if err := tls.Client(dial(t, addr), clientTLS("h2")).Handshake(); err == nil {
		t.Error("a handshake for another protocol was made")
	}
	plain := dial(t, addr)
	send(t, plain, query(1, false))
	if _, err := readFrame(plain); err == nil {
		t.Error("a plain query was answered over TLS's port")
	}
	silent := dial(t, addr)
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("read from a connection without a handshake")
	}
	if st := s.Stats(); st.HandshakeErrors != 3 {
		t.Errorf("%+v, want 3 failed handshakes", st)
	}
}
