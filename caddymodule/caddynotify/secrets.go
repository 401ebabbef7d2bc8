package caddynotify

import (
	"crypto/x509"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// aSecret is how a configuration names a secret without having it: the admin endpoint shows the configuration, and Caddy's debug log
// the handlers of events.
var aSecret = regexp.MustCompile(`^([A-Za-z]+ )?\{(env|file)\.[^{}]+\}$`)

// checkSecret refuses a secret that stands in the configuration itself. A word may stand before it, as in "Bearer {env.TOKEN}".
func checkSecret(option, value string) error {
	if !aSecret.MatchString(value) {
		return fmt.Errorf("%s: write {env.NAME} or {file./path}, not the secret itself (nor {$NAME}, which is replaced too early): "+
			"the configuration can be read at the admin endpoint", option)
	}
	return nil
}

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
	if *value == "" {
		return nil
	}
	v, err := caddy.NewReplacer().ReplaceOrErr(*value, true, true)
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	*value = v
	return nil
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
