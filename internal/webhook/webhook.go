// Package webhook posts JSON to a URL, signed if the receiver shall know who it is from. What goes wrong is said without the URL and the
// secrets: of many receivers the URL is the secret.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// SignatureHeader has "sha256=" and the HMAC-SHA256 of the body with the secret as its key, in lower-case hexadecimal.
const SignatureHeader = "Whence-Signature"

const (
	agent    = "whence (+https://github.com/whence-project/whence)"
	mostSaid = 200 // bytes of a receiver's answer in an error
)

// Target is who a message is posted to, and how.
type Target struct {
	URL    string
	Method string // "" for POST
	Header http.Header
	Secret string         // signs the body; "" for no signature
	Roots  *x509.CertPool // nil for the system's
}

// Post sends a JSON body, and fails unless the answer is one of success (2xx). It follows no redirection: what is in the headers is for
// this receiver.
func (t *Target) Post(ctx context.Context, body []byte) error {
	method := t.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, t.URL, bytes.NewReader(body))
	if err != nil {
		return t.redact(err)
	}
	if t.Header != nil {
		req.Header = t.Header.Clone()
	}
	req.Header.Set("Content-Type", "application/json")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", agent)
	}
	if t.Secret != "" {
		req.Header.Set(SignatureHeader, Sign(t.Secret, body))
	}
	// A message is rare: no connection is kept for the next one.
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: t.Roots, MinVersion: tls.VersionTLS12},
		},
	}
	resp, err := client.Do(req)
	if err != nil {
		return t.redact(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, mostSaid))
	if text := strings.Join(strings.Fields(string(said)), " "); text != "" {
		return t.redact(fmt.Errorf("the receiver answers %s: %s", resp.Status, text))
	}
	return t.redact(fmt.Errorf("the receiver answers %s", resp.Status))
}

// Sign is the value of SignatureHeader.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// redact takes the URL and what is secret out of an error.
func (t *Target) redact(err error) error {
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err // the rest of it is the URL
	}
	text := err.Error()
	secrets := []string{t.URL, t.Secret}
	if u, err := url.Parse(t.URL); err == nil && len(u.RequestURI()) > 1 {
		secrets = append(secrets, u.RequestURI(), u.Path)
	}
	for _, values := range t.Header {
		for _, v := range values {
			secrets = append(secrets, v, v[strings.LastIndexByte(v, ' ')+1:]) // of "Bearer x" also x
		}
	}
	for _, secret := range secrets {
		if len(secret) > 1 {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return errors.New(text)
}
