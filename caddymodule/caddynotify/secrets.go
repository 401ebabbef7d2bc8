package caddynotify

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/whence-project/whence/caddymodule/internal/secret"
)

// checkSecret refuses a secret that stands in the configuration itself.
func checkSecret(option, value string) error { return secret.Check(option, value) }

// isSecret tells by a header's name that its value is a secret.
func isSecret(header string) bool {
	header = strings.ToLower(header)
	for _, word := range []string{"auth", "cookie", "key", "pass", "secret", "token"} {
		if strings.Contains(header, word) {
			return true
		}
	}
	return false
}

// resolveTo replaces the placeholders in a value, which may be empty, when it is used.
func resolveTo(option string, value *string) error {
	v, err := secret.Resolve(option, *value)
	if err == nil {
		*value = v
	}
	return err
}

// roots are the system's certificates and those of files; nil where there are no files.
func roots(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("trusted_ca: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted_ca: %s has no certificate in PEM form", file)
		}
	}
	return pool, nil
}
