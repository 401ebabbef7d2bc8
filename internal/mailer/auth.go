package mailer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// Auth is how a user is authenticated.
type Auth uint8

// The mechanisms.
const (
	Auto        Auth = iota // the best that the server offers and the connection allows
	PlainAuth               // RFC 4616
	Login                   // what Microsoft's servers want
	CramMD5                 // RFC 2195
	ScramSHA256             // RFC 7677
)

var auths = [...]string{Auto: "auto", PlainAuth: "plain", Login: "login", CramMD5: "cram-md5", ScramSHA256: "scram-sha-256"}

// String is the word of the configuration.
func (a Auth) String() string { return auths[a] }

// ParseAuth reads the word; "" is Auto.
func ParseAuth(s string) (Auth, error) {
	if i := slices.Index(auths[:], s); i >= 0 || s == "" {
		return Auth(max(i, 0)), nil
	}
	return 0, fmt.Errorf("%q is none of %s", s, strings.Join(auths[:], ", "))
}

// auth authenticates with the mechanism that is configured, or that the server offers.
type auth struct {
	server *Server
	smtp.Auth
}

// Start implements smtp.Auth.
func (a *auth) Start(info *smtp.ServerInfo) (proto string, toServer []byte, err error) {
	s := a.server
	mechanism, err := s.Auth.choose(info.Auth, info.TLS)
	if err != nil {
		return "", nil, err
	}
	clear := IsLoopback(s.Host) // what it says may be read on the way, where there is none
	switch mechanism {
	case PlainAuth:
		a.Auth = smtp.PlainAuth("", s.User, s.Password, s.Host, clear)
	case Login:
		a.Auth = smtp.LoginAuth(s.User, s.Password, s.Host, clear)
	case CramMD5:
		a.Auth = smtp.CRAMMD5Auth(s.User, s.Password)
	default:
		a.Auth = smtp.ScramSHA256Auth(s.User, s.Password)
	}
	return a.Auth.Start(info)
}

// choose is the mechanism to use with a server that offers these.
func (a Auth) choose(offered []string, encrypted bool) (Auth, error) {
	order := []Auth{ScramSHA256, PlainAuth, Login, CramMD5}
	if !encrypted {
		order = []Auth{ScramSHA256, CramMD5, PlainAuth, Login}
	}
	if a != Auto {
		order = []Auth{a}
	}
	for _, m := range order {
		if slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, m.String()) }) {
			return m, nil
		}
	}
	return 0, fmt.Errorf("the server offers %s, not %v", strings.Join(offered, ", "), a)
}
