package caddyenrich

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/internal/egress"
	"github.com/whence-project/whence/internal/fetch"
	"github.com/whence-project/whence/internal/licence"
	"github.com/whence-project/whence/internal/update"
)

// Update is where a file of a source comes from, and how it is kept fresh.
type Update struct {
	// A preset of docs/update.md, or a URL of http or https. {year}, {month} and {day} in it are today's (UTC), or those before where
	// there is no such file yet; {token} is the token. Other placeholders are replaced when the URL is asked for, and not in its host.
	// Required, except for the source iana, whose registries come from IANA.
	From string `json:"from,omitempty"`
	// The file that is kept fresh. Default: the source's, where it names just one.
	To string `json:"to,omitempty"`
	// After how long it is asked for again, 10 % more or less. At least 1s, of a preset 1h. Default: 24h.
	Every caddy.Duration `json:"every,omitempty"`
	// What the publisher wants to see; where the URL has no {token}, it is sent as a bearer token. Placeholders are replaced when it
	// is used, so that the secret stands nowhere else. Default: none.
	Token string `json:"token,omitempty"`
	// User and password, or account and licence key, sent as basic authentication; placeholders likewise. Default: none.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// Further headers of the request; placeholders likewise. Default: none.
	Headers map[string]string `json:"headers,omitempty"`
	// The SHA-256 of what is downloaded, or the URL of a file with it. Default: the preset's, for a URL none.
	SHA256 string `json:"sha256,omitempty"`
	// The file that is wanted out of an archive, by name or pattern. Default: the one with the right extension.
	Member string `json:"member,omitempty"`
	// The most bytes that are downloaded. Default: 1 GiB.
	MaxSize int64 `json:"max_size,omitempty"`
	// The longest that a download may take. Default: 30m.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	Egress

	known string // what we call it, where we know the URL, and not the operator
}

// The shortest times between two questions.
const (
	minEvery       = time.Second
	minPresetEvery = time.Hour
)

// settings makes the engine's options of u for a source of that kind, which fall short of what the source knows: the file and how to
// read it. Its error says what the operator must mend.
func (u *Update) settings(kind string) (o update.Options, terms licence.Terms, err error) {
	preset, isPreset, err := u.preset(kind)
	if err != nil {
		return o, terms, err
	}
	name := u.known
	if o.Origin.URL = u.From; isPreset {
		o.Origin, terms, name = preset.Origin, preset.Terms, preset.Name
		if preset.TokenOrigin != nil && u.Token != "" {
			o.Origin = *preset.TokenOrigin
		}
	}
	o.Origin.Name = name
	least := minEvery
	if name != "" {
		least = minPresetEvery
	}
	if u.Every != 0 && time.Duration(u.Every) < least {
		return o, terms, fmt.Errorf("every %s is more often than %s", time.Duration(u.Every), least)
	}
	if err := u.checkAuth(preset.Auth); err != nil {
		return o, terms, err
	}
	o.Origin.Sum, o.Origin.Member = cmp.Or(u.SHA256, o.Origin.Sum), u.Member
	o.Origin.Token, o.Origin.User, o.Origin.Password, o.Origin.Header = u.Token, u.User, u.Password, u.Headers
	o.Every, o.Timeout, o.Limit, o.Expand = time.Duration(u.Every), time.Duration(u.Timeout), u.MaxSize, expand
	if err := o.Origin.Check(); err != nil {
		return o, terms, err
	}
	o.Client, err = u.client(name == "", o.Origin)
	return o, terms, err
}

// preset is the preset that From names, if it names one.
func (u *Update) preset(kind string) (p update.Preset, ok bool, err error) {
	if strings.Contains(u.From, ":") {
		return p, false, nil
	}
	if p, ok = update.PresetOf(kind, u.From); ok {
		return p, true, nil
	}
	var names []string
	for _, p := range update.Presets() {
		if p.Kind == kind {
			names = append(names, p.Name)
		}
	}
	return p, false, fmt.Errorf("no preset for %s is named %q; there are %s; or write a URL", kind, u.From, strings.Join(names, ", "))
}

// checkAuth is an error where the publisher would refuse.
func (u *Update) checkAuth(auth update.Auth) error {
	switch {
	case auth == update.TokenNeeded && u.Token == "":
		return errors.New("the publisher wants a token, as in: token {env.TOKEN}")
	case auth == update.BasicNeeded && (u.User == "" || u.Password == ""):
		return errors.New("the publisher wants an account and its licence key, as in: basic_auth {env.ACCOUNT} {env.KEY}")
	case u.User == "" && u.Password != "":
		return errors.New("a password without a user")
	case u.User != "" && u.Token != "" && !strings.Contains(u.From, "{token}"):
		return errors.New("token and basic_auth are two ways to say who asks; write one")
	}
	return nil
}

// client downloads. The hosts that the operator wrote may be anywhere, those of presets and of redirections in public only.
func (u *Update) client(trust bool, from update.Origin) (*fetch.Client, error) {
	o, err := u.Egress.read()
	if err != nil {
		return nil, err
	}
	if trust {
		o.Trusted = from.Hosts()
	}
	dialer, err := egress.New(o)
	if err != nil {
		return nil, err
	}
	return fetch.New(fetch.Options{Dial: dialer.DialContext, Roots: o.Roots}), nil
}

// expand replaces placeholders: those of vars, and Caddy's.
func expand(text string, vars map[string]string) (string, error) {
	repl := caddy.NewReplacer()
	repl.Map(func(key string) (any, bool) {
		v, ok := vars[key]
		return v, ok
	})
	return repl.ReplaceOrErr(text, true, true)
}

// shown says whose update an error is about, without what could be a secret.
func (u *Update) shown() string {
	if u.known != "" {
		return "update " + u.known
	}
	if parsed, err := url.Parse(u.From); err == nil && parsed.Host != "" {
		return "update of " + parsed.Hostname()
	}
	if strings.Contains(u.From, ":") {
		return "update"
	}
	return "update " + u.From
}

// fileOf is the file that u keeps fresh, of a source that reads what paths name: those that name one file each, and those that reads
// says it reads too.
func (u *Update) fileOf(paths []string, reads func(path string) bool) (string, error) {
	if u.To != "" {
		to, err := absolute(u.To)
		if err == nil && !slices.Contains(paths, to) && !reads(to) {
			err = fmt.Errorf("to %s: the source does not read that file", u.To)
		}
		return to, err
	}
	if len(paths) != 1 || !plain(paths[0]) {
		return "", errors.New("say which file it is for, as in: to ./data/file, as the source names several, a glob or a folder")
	}
	return paths[0], nil
}
