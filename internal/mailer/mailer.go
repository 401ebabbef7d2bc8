// Package mailer hands a mail to an SMTP server (RFC 5321): over TLS from the first byte or from STARTTLS on (RFC 8314, RFC 3207), with
// authentication (RFC 4954). What goes wrong is said without the user's name and password.
package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Security is how the connection is secured.
type Security uint8

// The ways.
const (
	StartTLS Security = iota // TLS from STARTTLS on; a server that does not offer it is not given the mail
	TLS                      // TLS from the first byte
	Plain                    // none
)

var securities = [...]string{StartTLS: "starttls", TLS: "tls", Plain: "plain"}

// String is the word of the configuration.
func (s Security) String() string { return securities[s] }

// Port is where servers listen for that.
func (s Security) Port() int { return [...]int{StartTLS: 587, TLS: 465, Plain: 25}[s] }

// ParseSecurity reads the word; "" is StartTLS.
func ParseSecurity(s string) (Security, error) {
	if i := slices.Index(securities[:], s); i >= 0 || s == "" {
		return Security(max(i, 0)), nil
	}
	return 0, fmt.Errorf("%q is none of %s", s, strings.Join(securities[:], ", "))
}

// Server is an SMTP server and how it is spoken to.
type Server struct {
	Host     string // a name or an address
	Port     int    // 0 for Security's
	Security Security
	Roots    *x509.CertPool // nil for the system's
	Auth     Auth
	User     string // "" for no authentication
	Password string
	Hello    string // the name that we give; "" for the machine's
}

// Mail is a mail of plain text.
type Mail struct {
	From    string   // addresses, with a name if they have one: "Whence <whence@example.org>"
	To      []string // at least one
	ID      string   // for the Message-ID, before the @
	Date    time.Time
	Subject string
	Body    string
}

// IsLoopback reports whether host is this machine, to which passwords may go without encryption.
func IsLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Send hands over a mail, or returns when ctx is done. It fails unless the server has taken the mail for one recipient at least; refused
// are the others, with the server's reasons.
func (s *Server) Send(ctx context.Context, m *Mail) (refused []string, err error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, s.redact(err)
	}
	defer conn.Close()
	// The library knows no contexts: a connection that is closed ends what it does.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	refused, err = s.converse(conn, m)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	for i, r := range refused {
		refused[i] = s.redact(errors.New(r)).Error()
	}
	return refused, s.redact(err)
}

// dial connects, over TLS where that is from the first byte.
func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	port := s.Port
	if port == 0 {
		port = s.Security.Port()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	if s.Security != TLS {
		return conn, nil
	}
	secure := tls.Client(conn, s.tls())
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (s *Server) tls() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
}

// converse hands over the mail on a connection.
func (s *Server) converse(conn net.Conn, m *Mail) (refused []string, err error) {
	msg, from, to, err := m.message(s.name())
	if err != nil {
		return nil, err
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return nil, err
	}
	if err := s.introduce(c); err != nil {
		return nil, err
	}
	if err := c.Mail(from); err != nil {
		return nil, fmt.Errorf("sender %s: %w", from, err)
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt); err != nil {
			refused = append(refused, rcpt+": "+err.Error())
		}
	}
	if len(refused) == len(to) {
		return refused, errors.New("every recipient is refused: " + strings.Join(refused, "; "))
	}
	w, err := c.Data()
	if err != nil {
		return refused, err
	}
	if _, err := msg.WriteTo(w); err != nil {
		return refused, err
	}
	if err := w.Close(); err != nil {
		return refused, err
	}
	_ = c.Quit() // the server has the mail, whatever it says now
	return refused, nil
}

// introduce says who we are, securely.
func (s *Server) introduce(c *smtp.Client) error {
	if err := c.Hello(s.name()); err != nil {
		return err
	}
	if s.Security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("the server does not offer STARTTLS")
		}
		if err := c.StartTLS(s.tls()); err != nil {
			return err
		}
	}
	if s.User == "" {
		return nil
	}
	if ok, _ := c.Extension("AUTH"); !ok {
		return errors.New("the server does not offer authentication")
	}
	if err := c.Auth(&auth{server: s}); err != nil {
		return fmt.Errorf("authentication: %w", err)
	}
	return nil
}

func (s *Server) name() string {
	if s.Hello != "" {
		return s.Hello
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// message is the mail as it goes over the wire, and the addresses of its envelope, in angle brackets.
func (m *Mail) message(host string) (msg *mail.Msg, from string, to []string, err error) {
	msg = mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(m.From); err != nil {
		return nil, "", nil, fmt.Errorf("from: %w", err)
	}
	if err := msg.To(m.To...); err != nil {
		return nil, "", nil, fmt.Errorf("to: %w", err)
	}
	msg.Subject(m.Subject)
	msg.SetDateWithValue(m.Date)
	msg.SetMessageIDWithValue(m.ID + "@" + host)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody answers with a note of absence
	msg.SetBodyString(mail.TypeTextPlain, m.Body)
	if from, err = msg.GetSender(false); err != nil {
		return nil, "", nil, fmt.Errorf("from: %w", err)
	}
	if to, err = msg.GetRecipients(); err != nil {
		return nil, "", nil, fmt.Errorf("to: %w", err)
	}
	return msg, from, to, nil
}

// redact takes what is secret out of an error, and line ends, as servers may say anything.
func (s *Server) redact(err error) error {
	if err == nil {
		return nil
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, secret := range []string{s.Password, s.User} {
		if secret == "" || secret == s.User && len(secret) < 4 {
			continue // of a name that short no error would be left
		}
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
			text = strings.ReplaceAll(text, form, "…")
		}
	}
	if s.User != "" {
		text = strings.ReplaceAll(text, base64.StdEncoding.EncodeToString([]byte("\x00"+s.User+"\x00"+s.Password)), "…")
	}
	return errors.New(text)
}
