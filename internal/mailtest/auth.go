package mailtest

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// decoded is a message's body without its encoding.
func decoded(m *mail.Message) io.Reader {
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		return quotedprintable.NewReader(m.Body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, m.Body)
	}
	return m.Body
}

// Auth implements smtp.AuthSession. A server that refuses says what it was given, as some do.
func (c *session) Auth(mechanism string) (sasl.Server, error) {
	o := c.server.o
	check := func(user, password string) error {
		if user != o.User || password != o.Password {
			return fmt.Errorf("authentication of %s with %s failed", user, password)
		}
		c.user = user
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	case "LOGIN":
		return &login{check: check}, nil
	case "CRAM-MD5":
		return &cram{o: o, check: check}, nil
	case "SCRAM-SHA-256":
		return &scram{o: o, check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

type login struct {
	check func(user, password string) error
	step  int
	user  string
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch l.step++; {
	case l.step == 1 && response == nil:
		return []byte("Username:"), false, nil
	case l.user == "":
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

// cram is RFC 2195.
type cram struct {
	o         Options
	check     func(user, password string) error
	challenge string
}

func (c *cram) Next(response []byte) (challenge []byte, done bool, err error) {
	if c.challenge == "" {
		c.challenge = "<" + rand.Text() + "@mail.test>"
		return []byte(c.challenge), false, nil
	}
	user, digest, _ := strings.Cut(string(response), " ")
	mac := hmac.New(md5.New, []byte(c.o.Password))
	mac.Write([]byte(c.challenge))
	password := c.o.Password
	if digest != hex.EncodeToString(mac.Sum(nil)) {
		password = digest
	}
	return nil, true, c.check(user, password)
}

// scram is RFC 5802 with SHA-256.
type scram struct {
	o                        Options
	check                    func(user, password string) error
	firstBare, serverFirst   string
	user, nonce, salt, proof string
}

func (s *scram) Next(response []byte) (challenge []byte, done bool, err error) {
	text := string(response)
	switch {
	case response == nil:
		return []byte{}, false, nil
	case s.firstBare == "":
		s.firstBare = strings.TrimPrefix(text, "n,,")
		name, nonce, _ := strings.Cut(s.firstBare, ",r=")
		s.user, s.nonce, s.salt = strings.TrimPrefix(name, "n="), nonce+rand.Text(), rand.Text()
		s.serverFirst = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString([]byte(s.salt)) + ",i=4096"
		return []byte(s.serverFirst), false, nil
	case s.proof != "":
		return nil, true, s.check(s.user, s.o.Password)
	}
	withoutProof, proof, _ := strings.Cut(text, ",p=")
	s.proof = proof
	salted, err := pbkdf2.Key(sha256.New, s.o.Password, []byte(s.salt), 4096, 32)
	if err != nil {
		return nil, true, err
	}
	message := s.firstBare + "," + s.serverFirst + "," + withoutProof
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	signature := mac(stored[:], message)
	for i := range clientKey {
		clientKey[i] ^= signature[i]
	}
	if base64.StdEncoding.EncodeToString(clientKey) != proof || !strings.HasSuffix(withoutProof, ",r="+s.nonce) {
		return nil, true, s.check(s.user, "a wrong proof")
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), message))), false, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
