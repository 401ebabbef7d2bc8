package mailer

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/whence-project/whence/internal/mailtest"
)

const user, password = "whence-user", "s3cret word with <signs>"

// to is the server as a configuration has it.
func to(t *testing.T, m *mailtest.Server, s Server) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(m.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s.Host = host
	if s.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	s.Roots = x509.NewCertPool()
	s.Roots.AppendCertsFromPEM(m.CA())
	return &s
}

func letter() *Mail {
	return &Mail{
		From: "Whence <whence@example.org>", To: []string{"Admin <admin@example.org>", "noc@example.net"}, ID: "ABC", Date: time.Unix(1790000000, 0).UTC(),
		Subject: "Der Server „müller“ ist nicht erreichbar", Body: "Grüße\n.\n.dot\n" + strings.Repeat("long ", 300) + "\nend\n",
	}
}

// Every way to secure a connection and to authenticate delivers the same mail.
func TestSend(t *testing.T) {
	for _, tt := range []struct {
		security  Security
		auth      Auth
		mechanism string // that the server offers; "" for no user
	}{
		{StartTLS, Auto, ""},
		{TLS, Auto, ""},
		{Plain, Auto, ""},
		{StartTLS, Auto, "PLAIN"},
		{StartTLS, PlainAuth, "PLAIN"},
		{TLS, Auto, "PLAIN"},
		{Plain, Auto, "PLAIN"},
		{StartTLS, Login, "LOGIN"},
		{TLS, Auto, "LOGIN"},
		{Plain, Auto, "LOGIN"},
		{StartTLS, CramMD5, "CRAM-MD5"},
		{Plain, Auto, "CRAM-MD5"},
		{TLS, ScramSHA256, "SCRAM-SHA-256"},
		{StartTLS, Auto, "XOAUTH2 LOGIN PLAIN SCRAM-SHA-256"},
	} {
		t.Run(fmt.Sprintf("%v %v %s", tt.security, tt.auth, tt.mechanism), func(t *testing.T) {
			o := mailtest.Options{TLS: tt.security == TLS, NoTLS: tt.security == Plain}
			s := Server{Security: tt.security, Auth: tt.auth, Hello: "host.example.org"}
			if tt.mechanism != "" {
				o.User, o.Password, o.Mechanisms = user, password, strings.Fields(tt.mechanism)
				s.User, s.Password = user, password
			}
			m := mailtest.New(t, o)
			refused, err := to(t, m, s).Send(t.Context(), letter())
			if err != nil || len(refused) > 0 {
				t.Fatalf("%v, refused %q", err, refused)
			}
			got := m.Wait(t, 1)[0]
			if got.From != "whence@example.org" || strings.Join(got.To, " ") != "admin@example.org noc@example.net" || got.User != s.User ||
				got.TLS != (tt.security != Plain) || m.Greeted()[0] != "host.example.org" {
				t.Errorf("%+v, from %q", got, m.Greeted())
			}
			want := letter()
			if got.Body != want.Body {
				t.Errorf("body\n%q\nwant\n%q", got.Body, want.Body)
			}
			checkHeader(t, got.Header)
		})
	}
}

func checkHeader(t *testing.T, h mail.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"From": `"Whence" <whence@example.org>`, "To": `"Admin" <admin@example.org>, <noc@example.net>`, "Message-Id": "<ABC@host.example.org>",
		"Date": "Mon, 21 Sep 2026 14:13:20 +0000", "Auto-Submitted": "auto-generated", "Content-Type": "text/plain; charset=UTF-8",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if subject := h.Get("Subject"); !strings.HasPrefix(subject, "=?UTF-8?q?Der_Server_=E2=80=9Em=C3=BCller") {
		t.Errorf("Subject: %s", subject)
	}
}

// A server that cannot show who it is is given neither mail nor password.
func TestUnsafeServers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     mailtest.Options
		s     Server
		roots bool
		want  string
	}{
		{"unknown authority", mailtest.Options{}, Server{}, false, "certificate signed by unknown authority"},
		{"unknown authority, TLS", mailtest.Options{TLS: true}, Server{Security: TLS}, false, "certificate signed by unknown authority"},
		{"another name", mailtest.Options{Names: []string{"other.test"}}, Server{}, true, "cannot validate certificate for 127.0.0.1"},
		{"no STARTTLS", mailtest.Options{NoTLS: true}, Server{}, true, "the server does not offer STARTTLS"},
		{"no TLS", mailtest.Options{NoTLS: true}, Server{Security: TLS}, true, "tls: first record does not look like a TLS handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.User, tt.o.Password, tt.s.User, tt.s.Password = user, password, user, password
			m := mailtest.New(t, tt.o)
			s := to(t, m, tt.s)
			if !tt.roots {
				s.Roots = x509.NewCertPool()
			}
			_, err := s.Send(t.Context(), letter())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if mails, _ := m.Received(); len(mails) > 0 {
				t.Errorf("it has the mail")
			}
		})
	}
}

// What servers say to wrong passwords is shown without them, in whatever form.
func TestNoSecretInErrors(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"} {
		m := mailtest.New(t, mailtest.Options{User: user, Password: "another", Mechanisms: []string{mechanism}})
		_, err := to(t, m, Server{User: user, Password: password}).Send(t.Context(), letter())
		if err == nil || !strings.Contains(err.Error(), "authentication: ") {
			t.Errorf("%s: %v", mechanism, err)
			continue
		}
		for _, secret := range []string{user, password, base64.StdEncoding.EncodeToString([]byte(password))} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %q is in %v", mechanism, secret, err)
			}
		}
	}
	s := Server{User: user, Password: password}
	for _, text := range []string{"535 no " + password, "535 " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "\r\n535 for " + user} {
		if got := s.redact(errors.New(text)).Error(); strings.Contains(got, "\n") || strings.Contains(got, user) || strings.Contains(got, password) || !strings.Contains(got, "535 ") {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// Who asks in the clear is given no password, unless it is this machine.
func TestPasswordsInTheClear(t *testing.T) {
	for _, a := range []Auth{Auto, PlainAuth, Login} {
		for host, safe := range map[string]bool{"mail.test": false, "192.0.2.1": false, "localhost": true, "127.0.0.2": true, "::1": true} {
			s := &Server{Host: host, User: user, Password: password, Auth: a}
			_, first, err := (&auth{server: s}).Start(&smtp.ServerInfo{Name: host, Auth: []string{"PLAIN", "LOGIN"}})
			if (err == nil) != safe || !safe && len(first) > 0 {
				t.Errorf("%v at %s: %q, %v", a, host, first, err)
			}
		}
	}
	if _, _, err := (&auth{server: &Server{Auth: ScramSHA256}}).Start(&smtp.ServerInfo{Auth: []string{"PLAIN"}}); err == nil ||
		err.Error() != "the server offers PLAIN, not scram-sha-256" {
		t.Errorf("%v", err)
	}
}

// A recipient that is refused keeps the mail from nobody else.
func TestRefusedRecipients(t *testing.T) {
	m := mailtest.New(t, mailtest.Options{Refuse: []string{"admin@example.org"}})
	refused, err := to(t, m, Server{}).Send(t.Context(), letter())
	if err != nil || len(refused) != 1 || !strings.Contains(refused[0], "<admin@example.org>: 550 \"5.1.1 no such mailbox\"") {
		t.Errorf("%v, refused %q", err, refused)
	}
	if got := m.Wait(t, 1)[0]; strings.Join(got.To, " ") != "noc@example.net" {
		t.Errorf("%+v", got)
	}
	m = mailtest.New(t, mailtest.Options{Refuse: []string{"admin@example.org", "noc@example.net"}})
	if _, err := to(t, m, Server{}).Send(t.Context(), letter()); err == nil || !strings.Contains(err.Error(), "every recipient is refused: ") {
		t.Errorf("%v", err)
	}
}

// A server that says nothing is left when the time is over; one that is away, at once.
func TestServersThatAreAway(t *testing.T) {
	m := mailtest.New(t, mailtest.Options{Mute: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := to(t, m, Server{}).Send(ctx, letter()); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("%v", err)
	}
	m = mailtest.New(t, mailtest.Options{})
	m.Stop()
	if _, err := to(t, m, Server{}).Send(t.Context(), letter()); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := to(t, m, Server{}).Send(t.Context(), letter()); err != nil {
		t.Errorf("back again: %v", err)
	}
}

func TestWords(t *testing.T) {
	for word, want := range map[string]Security{"": StartTLS, "starttls": StartTLS, "tls": TLS, "plain": Plain} {
		if got, err := ParseSecurity(word); got != want || err != nil {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
	for word, want := range map[string]Auth{"": Auto, "auto": Auto, "plain": PlainAuth, "login": Login, "cram-md5": CramMD5, "scram-sha-256": ScramSHA256} {
		if got, err := ParseAuth(word); got != want || err != nil {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
	if _, err := ParseSecurity("ssl"); err == nil || err.Error() != `"ssl" is none of starttls, tls, plain` {
		t.Errorf("%v", err)
	}
	if _, err := ParseAuth("ntlm"); err == nil {
		t.Error("ntlm is taken")
	}
	if _, err := (&Server{Host: "127.0.0.1", Port: 1}).Send(t.Context(), &Mail{From: "no address", To: []string{"a@example.org"}}); err == nil {
		t.Error("a mail from nobody")
	}
}
