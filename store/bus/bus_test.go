package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store/bus"
)

func TestCheck(t *testing.T) {
	pool := &tls.Config{RootCAs: x509.NewCertPool()}
	certified := &tls.Config{Certificates: make([]tls.Certificate, 1)}
	for _, tt := range []struct {
		name    string
		o       bus.Options
		wantErr string // part of it; empty: none
	}{
		{"loopback", bus.Options{URLs: []string{"nats://127.0.0.1:4222", "nats://[::1]:4222", "nats://localhost", "nats://127.9.9.9:1"}}, ""},
		{"no URL", bus.Options{}, "no NATS server is named"},
		{"scheme", bus.Options{URLs: []string{"http://127.0.0.1"}}, "not a URL with nats:// or tls://"},
		{"no scheme", bus.Options{URLs: []string{"127.0.0.1:4222"}}, "cannot be read"},
		{"no host", bus.Options{URLs: []string{"nats://:4222"}}, "not of the form nats://host:port"},
		{"path", bus.Options{URLs: []string{"nats://127.0.0.1/x"}}, "not of the form"},
		{"user in the URL", bus.Options{URLs: []string{"nats://u:hunter2@127.0.0.1"}}, "has a user in it"},
		{"password in a URL that is none", bus.Options{URLs: []string{"nats://u:hunter2@127.0.0.1:x"}}, "cannot be read"},
		{"two credentials", bus.Options{URLs: []string{"nats://127.0.0.1"}, NKeyFile: "a", Token: "hunter2"}, "more than one"},
		{"password alone", bus.Options{URLs: []string{"nats://127.0.0.1"}, Password: "hunter2"}, "no user"},
		{"no TLS", bus.Options{URLs: []string{"nats://127.0.0.1", "nats://192.0.2.1"}, NKeyFile: "a"}, "192.0.2.1 is not on loopback and needs TLS"},
		{"no TLS to a name", bus.Options{URLs: []string{"nats://nats.example.org"}, NKeyFile: "a"}, "needs TLS: write tls://"},
		{"no credentials", bus.Options{URLs: []string{"tls://nats.example.org"}}, "needs credentials"},
		{"TLS and nkey", bus.Options{URLs: []string{"tls://nats.example.org"}, NKeyFile: "a"}, ""},
		{"own authority and user", bus.Options{URLs: []string{"nats://[2001:db8::1]:4222"}, TLS: pool, User: "u", Password: "p"}, ""},
		{"client certificate", bus.Options{URLs: []string{"tls://nats.example.org"}, TLS: certified}, ""},
		{"not checked", bus.Options{URLs: []string{"tls://nats.example.org"}, TLS: &tls.Config{InsecureSkipVerify: true}, Token: "t"}, "certificate that is checked"},
	} {
		err := tt.o.Check()
		if (err != nil) != (tt.wantErr != "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wantErr)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret in %v", tt.name, err)
		}
		if b, err2 := bus.Open(tt.o); (err2 == nil) != (err == nil) {
			t.Errorf("%s: opened: %v", tt.name, err2)
		} else if b != nil {
			b.Close()
		}
	}
	var insecure *bus.InsecureError
	if err := (bus.Options{URLs: []string{"nats://192.0.2.1"}}).Check(); !errors.As(err, &insecure) {
		t.Errorf("%T", err)
	}
}

func open(t *testing.T, o bus.Options) *bus.Bus {
	t.Helper()
	o.PingEvery = 200 * time.Millisecond
	b, err := bus.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func wait(t *testing.T, b *bus.Bus) *nats.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	nc, err := b.Wait(ctx)
	if err != nil {
		t.Fatalf("%v: %+v", err, b.Status())
	}
	return nc
}

// gone waits until there is no connection.
func gone(t *testing.T, b *bus.Bus) {
	t.Helper()
	for {
		nc, changed := b.Conn()
		if nc == nil {
			return
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			t.Fatalf("still connected: %+v", b.Status())
		}
	}
}

func TestReconnect(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	s.Kill()
	began := time.Now()
	b := open(t, bus.Options{URLs: []string{s.URL}})
	if took := time.Since(began); took > time.Second {
		t.Errorf("opening waited %v for a server that is not there", took)
	}
	if nc, _ := b.Conn(); nc != nil || b.Status().Connected {
		t.Error("connected to nobody")
	}
	s.Restart()
	wait(t, b)
	if st := b.Status(); !st.Connected || st.Server != "n1" || st.Version == "" {
		t.Errorf("status %+v", st)
	}
	s.Kill()
	gone(t, b)
	s.Restart()
	wait(t, b)
	s.Freeze()
	gone(t, b) // pings are not answered
	s.Thaw()
	wait(t, b)
	if st := b.Status(); st.Reconnects < 2 || st.Error == "" {
		t.Errorf("status %+v", st)
	}
	b.Close()
	b.Close()
	if _, err := b.Wait(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("wait after close: %v", err)
	}
}

func TestUsers(t *testing.T) {
	kp, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	pub, _ := kp.PublicKey()
	seed, _ := kp.Seed()
	seedFile := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(seedFile, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, natstest.Options{Config: fmt.Sprintf("authorization { users: [{nkey: %s}, {user: u, password: hunter2}] }\n", pub)})
	urls := []string{s.URL}
	wait(t, open(t, bus.Options{URLs: urls, NKeyFile: seedFile}))
	wait(t, open(t, bus.Options{URLs: urls, User: "u", Password: "hunter2"}))

	// What is refused is tried again for ever: the server may come to know us.
	b := open(t, bus.Options{URLs: urls, User: "u", Password: "hunter3"})
	missing := open(t, bus.Options{URLs: urls, NKeyFile: seedFile + "2"})
	for deadline := time.Now().Add(30 * time.Second); b.Status().Error == "" || missing.Status().Error == ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no error: %+v, %+v", b.Status(), missing.Status())
		}
	}
	text, _ := json.Marshal(b.Status())
	if st := string(text); !strings.Contains(st, "uthorization") || strings.Contains(st, "hunter") {
		t.Errorf("status %s", st)
	}
	if err := os.WriteFile(seedFile+"2", seed, 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, missing)
}

func TestTLS(t *testing.T) {
	certFile, keyFile, roots := certificate(t)
	s := natstest.Start(t, natstest.Options{CertFile: certFile, KeyFile: keyFile})
	wait(t, open(t, bus.Options{URLs: []string{s.URL}, TLS: &tls.Config{RootCAs: roots}}))

	// A server whose certificate nobody vouches for is not spoken to, nor one that has none.
	plain := natstest.Start(t, natstest.Options{})
	for _, b := range []*bus.Bus{
		open(t, bus.Options{URLs: []string{s.URL}}),
		open(t, bus.Options{URLs: []string{plain.URL}, TLS: &tls.Config{RootCAs: roots}}),
	} {
		for deadline := time.Now().Add(30 * time.Second); b.Status().Error == ""; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no error: %+v", b.Status())
			}
		}
		if st := b.Status(); st.Connected {
			t.Errorf("connected: %+v", st)
		}
	}
}

// certificate makes one for localhost.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER), roots
}
