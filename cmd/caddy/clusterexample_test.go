package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/internal/registryfarm"
	"github.com/whence-project/whence/internal/testenv"
)

// writeServerCertificate makes a certificate for localhost, which is its own authority, and its key.
func (s *server) writeServerCertificate() (cert, key string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("nats.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write("nats.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})))
	return s.path("nats.pem"), s.path("nats.key")
}

// config is the Caddyfile that the server was started with.
func (s *server) config() string {
	s.t.Helper()
	b, err := os.ReadFile(s.path("Caddyfile"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// TestClusterExample formats, validates and starts the Caddyfiles of examples/cluster, over TLS, with the users and permissions of its
// nats.conf: a name is looked up by the worker, a list too, and neither is refused a subject.
func TestClusterExample(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		b, err := os.ReadFile("../../examples/cluster/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	registries := []registryfarm.Registry{{Name: "one", Suffixes: []string{"com"}, RDAP: true}}
	farm := registryfarm.New(t, registryfarm.Options{Registries: registries})
	front, worker := newServer(t), newServer(t)
	cert, key := front.writeServerCertificate()
	_, users, ok := strings.Cut(read("nats.conf"), "\n# Everybody may")
	if !ok {
		t.Fatal("nats.conf has no users")
	}
	program, err := natstest.Binary("../../tools/natsserver")
	if err != nil {
		testenv.Skip(t, "no NATS server can be built for the test: %v", err)
	}
	front.write("nats.conf", strings.NewReplacer("/etc/nats/server.pem", cert, "/etc/nats/server.key", key, "/var/lib/nats", front.path("nats")).Replace(read("nats.conf")))
	if out, err := exec.Command(program, "-t", "-c", front.path("nats.conf")).CombinedOutput(); err != nil {
		t.Errorf("nats.conf: %v: %s", err, out)
	}
	nats := natstest.Start(t, natstest.Options{CertFile: cert, KeyFile: key, Config: "#" + users})
	start := func(s *server, name, password string, replace ...string) {
		t.Helper()
		text := read(name + ".caddyfile")
		s.write("as-it-is", text)
		s.mustRun("fmt", "--diff", "as-it-is")
		s.env = []string{"NATS_PASSWORD=" + password}
		s.mustRun("validate", "--adapter", "caddyfile", "--config", "as-it-is")
		s.write("data/top-1m.csv", "1,tulip.com\n2,lily.com\n")
		s.env = append(s.env, "WHENCE_NATS="+nats.URL, "WHENCE_REGISTRIES="+farm.BootstrapURL(), "WHENCE_TOP="+s.path("data/top-1m.csv"))
		s.start(s.ofThisMachine(text, append([]string{"\tuser " + name, "\ttrusted_ca " + cert + "\n\t\tuser " + name}, replace...)))
	}
	start(worker, "worker", "change-me", "\t\t\tworker\n", "\t\t\tworker\n\t\t\tallow_networks 127.0.0.0/8\n")
	start(front, "front", "change-me", "bind :43", "bind 127.0.0.1:0", "http://:8000 {", "http:// {\n\tbind unix/{$WHENCE_TEST_DIR}/site")
	eventually(t, "the front knows the worker", func() bool { return strings.Contains(front.get("/whence/workers"), `"name":"w1","up":true`) })
	eventually(t, "the worker knows the registries", func() bool { return strings.Contains(worker.log.String(), `"file":"object-tags.json"`) })
	if k := lookup(t, front.client("site"), "tulip.com"); k.field("registration") != "registered" {
		t.Errorf("%+v", k)
	}
	if out := front.mustRun("whence", "preload", "--top", "2", "--config", "Caddyfile"); !strings.Contains(out, "finished: 2 of 2 names, 0 failed") || !strings.Contains(out, "w1 2") {
		t.Errorf("caddy whence preload: %s", out)
	}
	if out := front.mustRun("whence", "status", "--config", "Caddyfile"); !strings.Contains(out, "connected to n1") || !strings.Contains(out, "WORKER") {
		t.Errorf("caddy whence status: %s", out)
	}
	if out := front.mustRun("whence", "status", "--config", "Caddyfile", "--format", "csv"); !strings.Contains(out, "worker,w1,,up,") {
		t.Errorf("caddy whence status: %s", out)
	}
	// A reload keeps the worker's place; one that changes it has no gap.
	for i, config := range []string{worker.config(), strings.Replace(worker.config(), "egress {$WHENCE_EGRESS:home}", "egress elsewhere", 1)} {
		if err := worker.load(config); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			eventually(t, "it comes from elsewhere", func() bool { return strings.Contains(front.get("/whence/workers"), `"egress":["elsewhere"]`) })
		}
		if k := lookup(t, front.client("site"), []string{"rose.com", "violet.com"}[i]); k.field("registration") != "registered" {
			t.Errorf("after reload %d: %+v", i, k)
		}
	}
	if log := front.log.String(); strings.Contains(log, "worker is down") {
		t.Error("the front took a worker that was reloaded for down")
	}
	for _, s := range []*server{front, worker} {
		if log := s.log.String(); strings.Contains(log, "ermissions") {
			t.Errorf("a subject is refused:\n%s", strings.Join(matching(log, []string{"ermissions"}), ""))
		}
		if strings.Contains(s.log.String()+s.get("/config/"), "change-me") {
			t.Error("the log or the configuration has the password")
		}
	}
	wrong := newServer(t)
	start(wrong, "worker", "wrong-one", "name {$WHENCE_NODE:w1}", "name w9")
	eventually(t, "it says why it is not connected", func() bool {
		return strings.Contains(wrong.get("/whence/health"), "uthorization")
	})
}
