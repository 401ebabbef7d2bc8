package caddynotify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/internal/mailtest"
)

const aSecret = "t0psecret"

func TestSecrets(t *testing.T) {
	for value, ok := range map[string]bool{
		"{env.X}": true, "{file./run/x}": true, "Bearer {env.X}": true, "Bearer {file./run/x y}": true,
		aSecret: false, "": false, aSecret + "{env.X}": false, "two words {env.X}": false, "{env.X}" + aSecret: false, "{http.x}": false, "{env.}": false,
	} {
		if err := checkSecret("password", value); (err == nil) != ok || err != nil && strings.Contains(err.Error(), aSecret) {
			t.Errorf("%q: %v", value, err)
		}
	}
	for name, is := range map[string]bool{"Authorization": true, "x-api-KEY": true, "Cookie": true, "X-Auth-Token": true, "X-Site": false} {
		if isSecret(name) != is {
			t.Errorf("%s: %t", name, !is)
		}
	}
	for value, ok := range map[string]bool{"https://x.example/a?b": true, "http://[::1]:80": true, "ftp://x.example": false, "/x": false, "https://u:" + aSecret + "@x.example": false} {
		if err := checkURL(value); (err == nil) != ok || err != nil && strings.Contains(err.Error(), aSecret) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// Caddy's events app has handlers in its debug log: these show neither settings nor secrets there.
func TestHandlersInTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	m, w := new(Mail), new(Webhook)
	m.Server, m.Password, w.URL, w.Secret = "smtp.example.org", aSecret, "https://hooks.example.org/"+aSecret, aSecret
	zap.New(core).Debug("handlers", zap.Any("mail", m), zap.Any("webhook", w))
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	line, err := encoder.EncodeEntry(zapcore.Entry{}, logs.All()[0].Context)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"mail":{"handler":"mail","server":"smtp.example.org"},"webhook":{"handler":"webhook","host":"hooks.example.org"}}`
	if got := strings.TrimSpace(line.String()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Placeholders are replaced when a mail is sent, and what they lack is said by their names.
func TestPlaceholders(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "whence", Password: aSecret, Refuse: []string{"gone@example.org"}})
	dir := t.TempDir()
	password, ca := filepath.Join(dir, "password"), filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, server.CA(), 0o644); err != nil {
		t.Fatal(err)
	}
	s := MailSettings{
		Server: "{env.WHENCE_SMTP}", User: "whence", Password: "{file." + password + "}", From: "whence@example.org",
		To: []string{"{env.WHENCE_ADMIN}", "gone@example.org"}, TrustedCA: []string{ca}, Subject: "[gw1]",
	}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	msg := message(9, happened{0, events.FirstContact, map[string]any{"name": "example.org"}})
	core, logs := observer.New(zap.InfoLevel)
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "server: "},
		{func() { t.Setenv("WHENCE_SMTP", server.Addr()) }, "password: "},
		{func() { os.WriteFile(password, []byte("wrong\n"), 0o600) }, "recipient: "},
		{func() { t.Setenv("WHENCE_ADMIN", "nobody") }, "to: "},
		{func() { t.Setenv("WHENCE_ADMIN", "admin@example.org") }, "mail server 127.0.0.1: authentication: "},
		{func() { os.WriteFile(password, []byte(aSecret+"\n"), 0o600) }, ""},
	} {
		step.do()
		err := s.send(t.Context(), msg, zap.New(core))
		if (err == nil) != (step.want == "") || err != nil && !strings.Contains(err.Error(), step.want) {
			t.Errorf("%v, want %s", err, step.want)
		}
	}
	if m := server.Wait(t, 1)[0]; m.To[0] != "admin@example.org" || m.Header.Get("Subject") != "[gw1] First contact with example.org" {
		t.Errorf("%+v", m)
	}
	if n := logs.FilterMessageSnippet("recipients refused").Len(); n != 1 {
		t.Errorf("%d lines about recipients that were refused", n)
	}
	if b, err := json.Marshal(s); err != nil || strings.Contains(string(b), aSecret) {
		t.Errorf("%s, %v", b, err)
	}
}

// A notice of nobody, of nothing that exists, and settings that make no sense are refused, also where the configuration is JSON.
func TestProvision(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "none.pem")
	for config, want := range map[string]string{
		`{"notices":[{"events":["whence_upstream_down"]}]}`:                                                                         "nobody to tell",
		`{"notices":[{"events":["whence_nothing"],"handlers":[{"handler":"webhook","url":"https://x.example"}]}]}`:                  "there is no event whence_nothing",
		`{"notices":[{"handlers":[{"handler":"webhook"}]}]}`:                                                                        "no URL",
		`{"notices":[{"handlers":[{"handler":"webhook","url":"https://x.example","wait":-1}]}]}`:                                    "cannot be below 0",
		`{"notices":[{"handlers":[{"handler":"webhook","url":"https://x.example","limit":"x"}]}]}`:                                  "limit: ",
		`{"notices":[{"handlers":[{"handler":"webhook","url":"https://x.example","method":"GET /"}]}]}`:                             "no method of HTTP",
		`{"notices":[{"handlers":[{"handler":"webhook","url":"https://x.example","headers":{"a b":"c"}}]}]}`:                        "no name of a header",
		`{"notices":[{"handlers":[{"handler":"webhook","url":"https://x.example","trusted_ca":["` + ca + `"]}]}]}`:                  "trusted_ca: ",
		`{"notices":[{"handlers":[{"handler":"mail","server":"x.example","from":"a@x.example"}]}]}`:                                 "no recipient",
		`{"notices":[{"handlers":[{"handler":"mail","server":"x.example","from":"a@x.example","to":["b@x.example"],"user":"u"}]}]}`: "auth takes a user and a password",
		`{"notices":[{"handlers":[{"handler":"mail","server":"x.example","from":"a@x.example","to":["b@x.example"]}]}]}`:            "",
	} {
		err := caddy.Validate(&caddy.Config{
			Admin: &caddy.AdminConfig{Disabled: true}, AppsRaw: caddy.ModuleMap{"notify": json.RawMessage(config)},
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}
