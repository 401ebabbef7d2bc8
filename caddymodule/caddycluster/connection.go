package caddycluster

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/caddymodule/internal/secret"
	"github.com/whence-project/whence/store/bus"
)

var notInWord = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// hostName is the host's name as a word, with - for dots.
func hostName() string {
	name, _ := os.Hostname()
	if name = notInWord.ReplaceAllString(name, "-"); name == "" {
		return "unnamed"
	}
	return name[:min(len(name), 64)]
}

// checkShape says what can be seen to be wrong in the settings as they are written, placeholders and all: for errors with a line.
func (a *App) checkShape() error {
	if err := a.checkSecrets(); err != nil {
		return err
	}
	o := bus.Options{CredsFile: a.Creds, NKeyFile: a.NKey, User: a.User, Password: a.Password, Token: a.Token}
	for _, u := range a.Servers {
		if !strings.Contains(u, "{") {
			o.URLs = append(o.URLs, u)
		}
	}
	if len(o.URLs) == 0 && len(a.Servers) > 0 {
		return nil // what they stand for is known later
	}
	if len(a.TrustedCA) > 0 || a.ClientCertificate != nil {
		o.TLS = new(tls.Config)
	}
	if a.ClientCertificate != nil {
		o.TLS.Certificates = make([]tls.Certificate, 1)
	}
	return o.Check()
}

func (a *App) checkSecrets() error {
	for option, value := range map[string]string{"password": a.Password, "token": a.Token} {
		if value == "" {
			continue
		}
		if err := secret.Check(option, value); err != nil {
			return err
		}
	}
	return nil
}

// connection makes the options of the connection, with placeholders replaced but those of secrets: see [App.resolve].
func (a *App) connection() (o bus.Options, err error) {
	if err := a.checkSecrets(); err != nil {
		return o, err
	}
	o.Name = "whence " + a.Name
	repl := caddy.NewReplacer()
	for _, s := range a.Servers {
		u, err := repl.ReplaceOrErr(s, true, true)
		if err != nil {
			return o, err
		}
		o.URLs = append(o.URLs, u)
	}
	for _, v := range []struct {
		from string
		to   *string
	}{{a.Creds, &o.CredsFile}, {a.NKey, &o.NKeyFile}, {a.User, &o.User}} {
		if v.from == "" {
			continue
		}
		if *v.to, err = repl.ReplaceOrErr(v.from, true, true); err != nil {
			return o, err
		}
	}
	o.Password, o.Token = a.Password, a.Token
	for option, file := range map[string]string{"creds": o.CredsFile, "nkey": o.NKeyFile} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return o, fmt.Errorf("%s: %w", option, err)
		}
	}
	if o.TLS, err = a.tls(); err != nil {
		return o, err
	}
	return o, o.Check()
}

// resolve replaces the placeholders of secrets, when they are used: who validates a configuration need not have them.
func (a *App) resolve() (err error) {
	a.resolving.Do(func() {
		for option, value := range map[string]*string{"password": &a.bus.Password, "token": &a.bus.Token} {
			if *value, err = secret.Resolve(option, *value); err != nil {
				break
			}
			*value = strings.TrimSpace(*value) // files end in a newline
		}
		if err == nil {
			a.secret, err = fingerprint(a)
		}
		a.unresolved = err
	})
	return a.unresolved
}

// tls is how servers are checked, and the certificate that we come with; nil where neither is configured.
func (a *App) tls() (*tls.Config, error) {
	if len(a.TrustedCA) == 0 && a.ClientCertificate == nil {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(a.TrustedCA) > 0 {
		conf.RootCAs = x509.NewCertPool() // the authorities named, and no others
	}
	for _, file := range a.TrustedCA {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("trusted_ca: %w", err)
		}
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted_ca: %s has no certificate in PEM form", file)
		}
	}
	if c := a.ClientCertificate; c != nil {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
			return &pair, err
		}
		if _, err := load(nil); err != nil {
			return nil, fmt.Errorf("client_certificate: %w", err)
		}
		conf.GetClientCertificate = load
	}
	return conf, nil
}

// fingerprint is a hash of all that a connection depends on; there are secrets among it.
func fingerprint(a *App) (string, error) {
	b, err := json.Marshal([]any{a.bus.URLs, a.bus.CredsFile, a.bus.NKeyFile, a.bus.User, a.bus.Password, a.bus.Token, a.TrustedCA,
		a.ClientCertificate, a.Name})
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(b)
	for _, file := range a.TrustedCA {
		pem, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		h.Write(pem)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

var buses = caddy.NewUsagePool()

// sharedBus is a connection in the pool, with the loggers of those who use it.
type sharedBus struct {
	*bus.Bus
	key     string
	loggers livelog.Loggers
}

// Destruct closes the connection when nobody uses it any more.
func (b *sharedBus) Destruct() error {
	b.Close()
	connections.End(b)
	return nil
}

// acquireBus opens the connection, or takes the one that is open. Whoever has it lets it go with release.
func (a *App) acquireBus() (b *sharedBus, err error) {
	if err := a.resolve(); err != nil {
		return nil, err
	}
	v, _, err := buses.LoadOrNew(a.secret, func() (caddy.Destructor, error) {
		b := &sharedBus{key: a.secret}
		withdraw := b.loggers.Push(a.logger)
		defer withdraw()
		o := a.bus
		o.Logger = b.loggers.Logger()
		if b.Bus, err = bus.Open(o); err == nil {
			connections.Begin(b)
		}
		return b, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*sharedBus), nil
}

func (b *sharedBus) release() error {
	_, err := buses.Delete(b.key)
	return err
}

var errNoApp = errors.New("the store nats needs the global option nats, which says where NATS is: nats nats://127.0.0.1:4222")
