package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/mailtest"
	"github.com/whence-project/whence/internal/testenv"
)

// TestTour types what docs/tour.md says, in its order, in one folder.
func TestTour(t *testing.T) {
	testenv.Program(t, "whois", "whois")
	testenv.Program(t, "curl", "curl")
	t.Setenv("SMTP_PASSWORD", smtpPassword)
	s := newServer(t)
	mail := mailtest.New(t, mailtest.Options{User: "whence", Password: smtpPassword})
	s.write("mail.pem", string(mail.CA()))
	s.copyFile(testenv.Path(t, "mmdb", "lite-composite.mmdb"), "Downloads/lite.mmdb")
	s.copyFile(testenv.Path(t, "logs", "apache_access_10k.log"), "Downloads/access.log")
	if err := os.Mkdir(s.path("data"), 0o755); err != nil {
		t.Fatal(err)
	}
	typed, started := 0, false
	for _, b := range documents(t) {
		if b.file != "tour.md" {
			continue
		}
		switch b.lang {
		case "caddyfile":
			config := s.tourConfig(b.text, mail.Addr())
			if !started {
				s.start(config)
				started = true
			}
			s.write("Caddyfile", config)
		case "console tour":
			for _, c := range commands(b.text) {
				typed++
				s.typeTour(t, b, c)
			}
		}
	}
	if typed < 15 {
		t.Errorf("only %d commands in the tour", typed)
	}
	<-s.exited // caddy stop
	if text := body(t, mail, "never-seen-before.org"); strings.Contains(text, smtpPassword) {
		t.Errorf("a mail with a secret:\n%s", text)
	}
	if log := s.log.String(); strings.Contains(log, smtpPassword) || strings.Contains(log, `"level":"error"`) {
		t.Errorf("the log:\n%s", log)
	}
	for _, unwanted := range []string{"annotated.log.gz.part"} {
		if found, _ := filepath.Glob(s.path(unwanted)); len(found) > 0 {
			t.Errorf("left behind: %q", found)
		}
	}
}

// tourConfig has the tour's Caddyfile listen where tests do, and mail to the test's server.
func (s *server) tourConfig(text, smtp string) string {
	for _, r := range [][2]string{
		{"{\n\tenrich {", "{\n\tadmin unix/" + s.path("admin.sock") + "\n\tenrich {"},
		{"127.0.0.1:1043", "127.0.0.1:0"},
		{"\tbind 127.0.0.1\n", "\tbind unix/" + s.path("site.sock") + "\n"},
		{"server smtp.example.org", "server " + smtp + "\n\t\t\ttrusted_ca " + s.path("mail.pem")},
	} {
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text
}

// typeTour runs one command. What only asks is asked until the answer is there: files are taken in within a second.
func (s *server) typeTour(t *testing.T, b block, c documented) {
	t.Helper()
	complaint := s.tryDocumented(c)
	for _, asks := range []string{"whois ", "caddy whence status", "caddy whence lookup", "localhost:2019"} {
		if !strings.Contains(c.command, asks) {
			continue
		}
		for end := time.Now().Add(patience); complaint != "" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			complaint = s.tryDocumented(c)
		}
	}
	if complaint != "" {
		t.Fatalf("%s: %s", b.name(), complaint)
	}
}
