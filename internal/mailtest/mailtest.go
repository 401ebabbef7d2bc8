// Package mailtest is an SMTP server for tests, on loopback: with STARTTLS or TLS, with users, and with the faults that servers have.
package mailtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Options say how a server is. The zero value offers STARTTLS, and wants no authentication.
type Options struct {
	TLS        bool     // from the first byte
	NoTLS      bool     // not at all
	Names      []string // on the certificate; 127.0.0.1 if there is none
	User       string   // who may send mail; "" for everybody
	Password   string
	Mechanisms []string // of authentication: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256; PLAIN if there is none
	Refuse     []string // recipients that are refused
	Mute       bool     // it takes connections and says nothing
}

// Server is a server. It ends with the test.
type Server struct {
	o    Options
	cert tls.Certificate
	addr string

	mu       sync.Mutex
	stop     func()
	received []*Received
	greeted  []string
	attempts int
	arrived  chan struct{}
}

// Received is a mail that a server took.
type Received struct {
	From   string
	To     []string // of the envelope
	User   string   // who was authenticated
	TLS    bool
	Header mail.Header
	Body   string // decoded
	Raw    string
}

// New starts a server.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{o: o, arrived: make(chan struct{})}
	names := o.Names
	if len(names) == 0 {
		names = []string{"127.0.0.1"}
	}
	var err error
	if s.cert, err = certificate(names); err != nil {
		t.Fatal(err)
	}
	s.addr = "127.0.0.1:0"
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start listens, again after Stop, on the same address.
func (s *Server) Start() error {
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	if s.o.Mute {
		s.setStop(func() { l.Close() })
		return nil // the system takes connections, and nobody reads
	}
	server := smtp.NewServer(smtp.BackendFunc(s.session))
	server.Domain, server.AllowInsecureAuth, server.ReadTimeout = "mail.test", true, time.Minute
	server.ErrorLog = nothing{}
	config := &tls.Config{Certificates: []tls.Certificate{s.cert}}
	switch {
	case s.o.TLS:
		l = tls.NewListener(l, config)
	case !s.o.NoTLS:
		server.TLSConfig = config
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	s.setStop(func() {
		_ = l.Close() // also where Serve has yet to begin
		_ = server.Close()
		<-served
	})
	return nil
}

func (s *Server) setStop(stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = stop
}

// Stop ends the server and its connections. It is idempotent.
func (s *Server) Stop() {
	s.mu.Lock()
	stop := s.stop
	s.mu.Unlock()
	stop()
}

// Addr is the server's address.
func (s *Server) Addr() string { return s.addr }

// CA is the certificate (PEM) that a client has to trust.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Certificate[0]})
}

// Received are the mails so far, and Arrived is closed when there is another.
func (s *Server) Received() (mails []*Received, arrived <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received), s.arrived
}

// Wait returns the first n mails as soon as they are there.
func (s *Server) Wait(t testing.TB, n int) []*Received {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		mails, arrived := s.Received()
		if len(mails) >= n {
			return mails[:n]
		}
		select {
		case <-arrived:
		case <-timeout:
			t.Fatalf("%d mails, not %d", len(mails), n)
		}
	}
}

// Attempts is how often somebody began a session.
func (s *Server) Attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

// Greeted are the names that clients gave.
func (s *Server) Greeted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.greeted)
}

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	s.greeted = append(s.greeted, c.Hostname())
	_, secure := c.TLSConnectionState()
	return &session{server: s, secure: secure}, nil
}

// session is a client's.
type session struct {
	server *Server
	secure bool
	user   string
	mail   *Received
}

func (c *session) Reset()        { c.mail = nil }
func (c *session) Logout() error { return nil }

func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if c.server.o.User != "" && c.user == "" {
		return smtp.ErrAuthRequired
	}
	c.mail = &Received{From: from, User: c.user, TLS: c.secure}
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if slices.Contains(c.server.o.Refuse, to) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	c.mail.To = append(c.mail.To, to)
	return nil
}

func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := c.mail
	if err := m.parse(raw); err != nil {
		return err
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
	return nil
}

func (m *Received) parse(raw []byte) error {
	m.Raw = string(raw)
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	m.Header = msg.Header
	body, err := io.ReadAll(decoded(msg))
	m.Body = strings.ReplaceAll(string(body), "\r\n", "\n")
	return err
}

// AuthMechanisms implements smtp.AuthSession.
func (c *session) AuthMechanisms() []string {
	o := c.server.o
	switch {
	case o.User == "":
		return nil
	case len(o.Mechanisms) == 0:
		return []string{sasl.Plain}
	}
	return o.Mechanisms
}

// certificate makes one that signs itself.
func certificate(names []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailtest"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

type nothing struct{}

func (nothing) Printf(string, ...any) {}
func (nothing) Println(...any)        {}

// Interface guards
var (
	_ smtp.AuthSession = (*session)(nil)
	_ smtp.Logger      = nothing{}
)
