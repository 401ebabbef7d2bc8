package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// newIdentity makes a client's certificate, which signs itself, in the server's folder: name.pem and name.key. It returns the
// certificate as Caddy's public_keys have it.
func (s *server) newIdentity(name string) string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return base64.StdEncoding.EncodeToString(der)
}

// curl asks a unix socket in the server's folder over TLS, as the identity of that name if there is one, and returns the answer with its
// status; or the exit status of curl.
func (s *server) curl(socket, identity, method, path string) string {
	s.t.Helper()
	args := []string{"-sS", "--path-as-is", "--unix-socket", s.path(socket), "--cacert", s.path("caddy/pki/authorities/local/root.crt"),
		"-X", method, "-w", " %{http_code}", "https://whence.test" + path}
	if identity != "" {
		args = append(args, "--cert", s.path(identity+".pem"), "--key", s.path(identity+".key"))
	}
	out, err := exec.Command("curl", args...).Output()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// otherPaths are the ways out of /whence/ that a client may try.
var otherPaths = []string{"/config/", "/", "/whence/../config/", "/whence/%2e%2e/config/", "/whence/..%2fconfig/", "/whence//../config/", "/whence"}

// TestRemoteAdmin has Caddy's remote admin endpoint, with client certificates: one may read, one may do all below /whence/.
func TestRemoteAdmin(t *testing.T) {
	testenv.Program(t, "curl", "curl")
	s := newServer(t)
	monitor, operator := s.newIdentity("monitor"), s.newIdentity("operator")
	s.newIdentity("stranger")
	s.startJSON(fmt.Sprintf(`{
		"admin": {
			"listen": "unix/%s",
			"identity": {"identifiers": ["whence.test"], "issuers": [{"module": "internal"}]},
			"remote": {"listen": "unix/%s", "access_control": [
				{"public_keys": [%q], "permissions": [{"paths": ["/whence/"], "methods": ["GET", "HEAD"]}]},
				{"public_keys": [%q], "permissions": [{"paths": ["/whence/"]}]}
			]}
		},
		"apps": {"enrich": {"chains": {"default": {"sources": [{"source": "iana"}, {"source": "records", "dir": "records"}]}}}}
	}`, s.path("admin.sock"), s.path("remote.sock"), monitor, operator))
	eventually(t, "the certificate is there", func() bool {
		return strings.HasPrefix(s.curl("remote.sock", "monitor", "GET", "/whence/health"), `{"healthy":true,`)
	})
	for _, tt := range []struct{ identity, method, path, want string }{
		{"monitor", "GET", "/whence/lookup/192.0.2.1", `"special_purpose":`},
		{"monitor", "POST", "/whence/refresh/records", "not authorized to use this method"},
		{"operator", "POST", "/whence/refresh/records", "no such file or directory"},
		{"operator", "DELETE", "/whence/cache/registration?all=true", "uses no store"},
		{"stranger", "GET", "/whence/health", "exit status"},
		{"", "GET", "/whence/health", "exit status"},
	} {
		if got := s.curl("remote.sock", tt.identity, tt.method, tt.path); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s %s: %s, want %s", tt.identity, tt.method, tt.path, got, tt.want)
		}
	}
	for _, path := range otherPaths {
		if got := s.curl("remote.sock", "operator", "GET", path); !strings.Contains(got, "not authorized") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestAdminBehindASite has an HTTPS site in front of the admin endpoint, on a unix socket and on a port.
func TestAdminBehindASite(t *testing.T) {
	testenv.Program(t, "curl", "curl")
	site := func(upstream, options string) string {
		return "https://whence.test {\n\tbind unix/{$WHENCE_TEST_DIR}/tls.sock\n\ttls internal {\n\t\tclient_auth {\n\t\t\tmode require_and_verify\n" +
			"\t\t\ttrust_pool file admins.pem\n\t\t}\n\t}\n\thandle /whence/* {\n\t\treverse_proxy " + upstream + " {\n" + options + "\t\t}\n\t}\n\trespond 404\n}\n"
	}
	const global = "\tskip_install_trust\n\tenrich {\n\t\tiana\n\t}"
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().String() // Caddy does not tell which port it got, so that it must be given one
	free.Close()
	for name, config := range map[string]string{
		"socket": globals(global) + site("unix/{$WHENCE_TEST_ADMIN}", ""),
		"port":   "{\n\tadmin " + port + "\n" + global + "\n}\n" + site(port, "\t\t\theader_up Host "+port+"\n"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.newIdentity("admins")
			s.newIdentity("stranger")
			s.start(config)
			eventually(t, "the certificate is there", func() bool {
				return strings.HasPrefix(s.curl("tls.sock", "admins", "GET", "/whence/health"), `{"healthy":true,`)
			})
			if got := s.curl("tls.sock", "admins", "GET", "/whence/lookup/192.0.2.1"); !strings.Contains(got, `"special_purpose":`) {
				t.Errorf("lookup: %s", got)
			}
			for _, path := range otherPaths {
				if got := s.curl("tls.sock", "admins", "GET", path); got != " 404" {
					t.Errorf("%s: %s", path, got)
				}
			}
			for _, identity := range []string{"stranger", ""} {
				if got := s.curl("tls.sock", identity, "GET", "/whence/health"); !strings.HasPrefix(got, "exit status") {
					t.Errorf("%q: %s", identity, got)
				}
			}
		})
	}
}
