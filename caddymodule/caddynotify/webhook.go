package caddynotify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/net/http/httpguts"

	"github.com/whence-project/whence/internal/digest"
	"github.com/whence-project/whence/internal/webhook"
)

func init() { caddy.RegisterModule(new(Webhook)) }

// Webhook is the handler of events `webhook`: it posts what happened to a URL as JSON, gathered into few messages. Placeholders are
// replaced when a message is sent.
type Webhook struct {
	WebhookSettings
	held
}

// WebhookSettings are what the configuration says of posts.
type WebhookSettings struct {
	// Where to post. Where the URL is a secret itself, it is {env.NAME} or {file./path}. Required.
	URL string `json:"url"`
	// The method. Default: POST.
	Method string `json:"method,omitempty"`
	// What is posted: json, which is all there is to say, or slack, a text in the form that Slack and Mattermost show. Default: json.
	Format string `json:"format,omitempty"`
	// Headers of the request. Those whose names sound like secrets have {env.NAME} or {file./path} for a value. Default: none.
	Headers map[string]string `json:"headers,omitempty"`
	// The key of an HMAC-SHA256 of the body, which the header Whence-Signature then has: {env.NAME} or {file./path}. Default: none.
	Secret string `json:"secret,omitempty"`
	// Files with certificates (PEM) that are trusted beside the system's. Default: none.
	TrustedCA []string `json:"trusted_ca,omitempty"`
	Pace
}

// CaddyModule returns the module's registration.
func (*Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.webhook", New: func() caddy.Module { return new(Webhook) }}
}

// Provision checks the settings. Nobody is dialled before an event comes.
func (m *Webhook) Provision(ctx caddy.Context) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if _, err := roots(m.TrustedCA); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	o, err := m.options()
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if m.Format != "slack" {
		o.Most = mostPosted
	}
	settings := m.WebhookSettings
	return m.acquire(ctx, "webhook", settings, o, func(*zap.Logger) sender { return settings.send })
}

// mostPosted is how many things a message for a program lists.
const mostPosted = 1000

// formats are what can be posted.
var formats = map[string]func(*digest.Message, string) ([]byte, error){"": asJSON, "json": asJSON, "slack": asSlack}

// check says what is wrong with the settings, as far as can be told without what placeholders stand for.
func (s *WebhookSettings) check() error {
	if s.URL == "" {
		return errors.New("no URL; name one, as in: webhook https://example.org/hook")
	}
	if !strings.Contains(s.URL, "{") {
		if err := checkURL(s.URL); err != nil {
			return err
		}
	}
	if formats[s.Format] == nil {
		return fmt.Errorf("format %q; there are json and slack", s.Format)
	}
	if strings.Trim(s.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("method %q: no method of HTTP, as in PUT", s.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header %q: no name of a header", name)
		}
		if isSecret(name) {
			if err := checkSecret("header "+name, s.Headers[name]); err != nil {
				return err
			}
		}
	}
	if s.Secret != "" {
		return checkSecret("secret", s.Secret)
	}
	return nil
}

// checkURL does not show the URL in its errors: it may be a secret, by mistake or by whose receiver it is.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("url: want https://host/path")
	}
	if u.User != nil {
		return errors.New("url: a user and a password do not belong in it; use: header Authorization \"Basic {env.NAME}\"")
	}
	return nil
}

// send posts a message.
func (s *WebhookSettings) send(ctx context.Context, msg *digest.Message) error {
	target := &webhook.Target{URL: s.URL, Method: s.Method, Header: make(http.Header), Secret: s.Secret}
	for _, v := range []struct {
		option string
		value  *string
	}{{"url", &target.URL}, {"secret", &target.Secret}} {
		if err := resolveTo(v.option, v.value); err != nil {
			return err
		}
	}
	if err := checkURL(target.URL); err != nil {
		return err
	}
	for name, value := range s.Headers {
		if err := resolveTo("header "+name, &value); err != nil {
			return err
		}
		target.Header.Set(name, value)
	}
	var err error
	if target.Roots, err = roots(s.TrustedCA); err != nil {
		return err
	}
	b, err := formats[s.Format](msg, hostname())
	if err != nil {
		return err
	}
	if err := target.Post(ctx, b); err != nil {
		return fmt.Errorf("webhook %s: %w", hostOf(target.URL), err)
	}
	return nil
}

// hostOf is what may be shown of a URL.
func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return u.Host
	}
	return ""
}

// MarshalLogObject keeps what may be a secret out of Caddy's debug log, which has handlers.
func (m *Webhook) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("handler", "webhook")
	enc.AddString("host", hostOf(m.URL))
	return nil
}

// Interface guards
var (
	_ caddyevents.Handler     = (*Webhook)(nil)
	_ caddy.Provisioner       = (*Webhook)(nil)
	_ caddy.CleanerUpper      = (*Webhook)(nil)
	_ caddyfile.Unmarshaler   = (*Webhook)(nil)
	_ zapcore.ObjectMarshaler = (*Webhook)(nil)
)
