// Package secret is for the secrets of a configuration: they stand in the environment or in files, since the admin endpoint shows the
// configuration.
package secret

import (
	"fmt"
	"regexp"

	"github.com/caddyserver/caddy/v2"
)

// named is how a configuration names a secret without having it.
var named = regexp.MustCompile(`^([A-Za-z]+ )?\{(env|file)\.[^{}]+\}$`)

// Check refuses a secret that stands in the configuration itself. A word may stand before it, as in "Bearer {env.TOKEN}".
func Check(option, value string) error {
	if !named.MatchString(value) {
		return fmt.Errorf("%s: write {env.NAME} or {file./path}, not the secret itself (nor {$NAME}, which is replaced too early): "+
			"the configuration can be read at the admin endpoint", option)
	}
	return nil
}

// Resolve replaces the placeholders in a value, which may be empty. It is for when the value is used.
func Resolve(option, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	v, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	return v, nil
}
