package caddynotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/internal/digest"
	"github.com/whence-project/whence/internal/mailer"
)

func init() { caddy.RegisterModule(new(Mail)) }

// Mail is the handler of events `mail`: it mails what happened, gathered into few messages. Placeholders are replaced when a mail is
// sent.
type Mail struct {
	MailSettings
	held
}

// MailSettings are what the configuration says of mails.
type MailSettings struct {
	// The SMTP server, host or host:port. Default of the port: 587, 465 with tls, 25 with plain. Required.
	Server string `json:"server"`
	// How the connection is secured: starttls (required of the server), tls from the first byte, or plain, which is not at all and
	// takes no password but for this machine. Default: starttls.
	Security string `json:"security,omitempty"`
	// The user, if the server wants one. Default: no authentication.
	User string `json:"user,omitempty"`
	// The password: {env.NAME} or {file./path}.
	Password string `json:"password,omitempty"`
	// How the user is authenticated: auto, plain, login, cram-md5 or scram-sha-256. Default: auto, the best that the server offers.
	Auth string `json:"auth,omitempty"`
	// The sender's address, with a name if it has one. Required.
	From string `json:"from"`
	// The recipients' addresses. Required.
	To []string `json:"to"`
	// What subjects begin with. Default: [Whence] and the host's name.
	Subject string `json:"subject,omitempty"`
	// The name that is given to the server. Default: the machine's.
	Hello string `json:"hello,omitempty"`
	// Files with certificates (PEM) that are trusted beside the system's. Default: none.
	TrustedCA []string `json:"trusted_ca,omitempty"`
	Pace
}

// CaddyModule returns the module's registration.
func (*Mail) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.mail", New: func() caddy.Module { return new(Mail) }}
}

// Provision checks the settings. Nobody is dialled before an event comes.
func (m *Mail) Provision(ctx caddy.Context) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if _, err := roots(m.TrustedCA); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	o, err := m.options()
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	settings := m.MailSettings
	return m.acquire(ctx, "mail", settings, o, func(log *zap.Logger) sender {
		return func(ctx context.Context, msg *digest.Message) error { return settings.send(ctx, msg, log) }
	})
}

var errMechanism = errors.New("auth: a user, a password, and one of auto, plain, login, cram-md5 and scram-sha-256")

// check says what is wrong with the settings, as far as can be told without what placeholders stand for.
func (s *MailSettings) check() error {
	if s.Server == "" {
		return errors.New("no server; name one, as in: server smtp.example.org")
	}
	if s.From == "" {
		return errors.New("no sender; name one, as in: from whence@example.org")
	}
	if len(s.To) == 0 {
		return errors.New("no recipient; name one, as in: mail admin@example.org")
	}
	for _, a := range append([]string{s.From}, s.To...) {
		if _, err := mail.ParseAddress(a); err != nil && !strings.Contains(a, "{") {
			return fmt.Errorf("%s: no address of mail, as in admin@example.org", a)
		}
	}
	if _, err := mailer.ParseAuth(s.Auth); err != nil {
		return errMechanism
	}
	server, err := s.server(s.Server)
	if err != nil {
		return err
	}
	return s.checkUser(server)
}

// checkUser keeps passwords out of the configuration, and off the wire in the clear.
func (s *MailSettings) checkUser(server *mailer.Server) error {
	switch {
	case s.User == "" && s.Password == "":
		return nil
	case s.User == "" || s.Password == "":
		return errors.New("auth takes a user and a password")
	case server.Security == mailer.Plain && !mailer.IsLoopback(server.Host):
		return fmt.Errorf("a password for %s would go out in the clear; use starttls or tls, or no auth", server.Host)
	}
	return checkSecret("password", s.Password)
}

// server is the server of that address, without the user.
func (s *MailSettings) server(address string) (server *mailer.Server, err error) {
	server = &mailer.Server{Host: address, Hello: s.Hello}
	if server.Security, err = mailer.ParseSecurity(s.Security); err != nil {
		return nil, fmt.Errorf("security: %w", err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		server.Host = strings.Trim(address, "[]")
		return server, nil
	}
	server.Host = host
	if server.Port, err = strconv.Atoi(port); (err != nil || server.Port <= 0 || server.Port > 65535) && !strings.Contains(port, "{") {
		return nil, fmt.Errorf("server %s: no port from 1 to 65535", address)
	}
	return server, nil
}

// send mails a message.
func (s *MailSettings) send(ctx context.Context, msg *digest.Message, log *zap.Logger) error {
	server, letter, err := s.resolve()
	if err != nil {
		return err
	}
	host := hostname()
	subject := s.Subject
	if subject == "" {
		subject = "[Whence] " + host + ":"
	}
	letter.ID, letter.Date, letter.Subject, letter.Body = msg.ID, msg.Time, short(subject+" "+headline(msg)), body(msg, host)
	refused, err := server.Send(ctx, letter)
	if err != nil {
		return fmt.Errorf("mail server %s: %w", server.Host, err)
	}
	if len(refused) > 0 {
		log.Warn("recipients refused by the mail server; others have the mail", zap.String("server", server.Host), zap.Strings("refused", refused))
	}
	return nil
}

// resolve is the server, and a mail without its contents, with what placeholders stand for now.
func (s *MailSettings) resolve() (*mailer.Server, *mailer.Mail, error) {
	address, letter := s.Server, &mailer.Mail{From: s.From, To: slices.Clone(s.To)}
	user, password, hello := s.User, s.Password, s.Hello
	for _, v := range []struct {
		option string
		value  *string
	}{{"server", &address}, {"user", &user}, {"password", &password}, {"from", &letter.From}, {"hello", &hello}} {
		if err := resolveTo(v.option, v.value); err != nil {
			return nil, nil, err
		}
	}
	for i := range letter.To {
		if err := resolveTo("recipient", &letter.To[i]); err != nil {
			return nil, nil, err
		}
	}
	server, err := s.server(address)
	if err != nil {
		return nil, nil, err
	}
	server.User, server.Password, server.Hello = user, password, hello
	if server.Auth, err = mailer.ParseAuth(s.Auth); err != nil {
		return nil, nil, err
	}
	server.Roots, err = roots(s.TrustedCA)
	return server, letter, err
}

// MarshalLogObject keeps Caddy's debug log, which has handlers, short.
func (m *Mail) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("handler", "mail")
	enc.AddString("server", m.Server)
	return nil
}

// Interface guards
var (
	_ caddyevents.Handler     = (*Mail)(nil)
	_ caddy.Provisioner       = (*Mail)(nil)
	_ caddy.CleanerUpper      = (*Mail)(nil)
	_ caddyfile.Unmarshaler   = (*Mail)(nil)
	_ zapcore.ObjectMarshaler = (*Mail)(nil)
)
