package update

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/internal/fetch"
)

// Origin is where a file comes from. Its texts may have placeholders: {year}, {month} and {day} (UTC) and {token} in the URLs, and the
// operator's in all.
type Origin struct {
	// Name is what logs, metrics and status call it; empty for the URL's host.
	Name string
	// URL is what is downloaded. Where it has a date and there is no file of today, this month or this year, that of the day, month or
	// year before is, and the one before that.
	URL string
	// Sum is the SHA-256 of what is downloaded, in hexadecimal, or the URL of a file with it; empty where none is offered.
	Sum string
	// Token takes the place of {token} in the URLs; where they have none, it is sent as in RFC 6750 §2.1.
	Token string
	// User and Password are sent as in RFC 7617.
	User, Password string
	// Header is sent too.
	Header map[string]string
	// Member is the file that is wanted out of an archive, where its extension does not tell.
	Member string
	// Least is how many records there must be.
	Least int
}

// Check is an error for what the operator must mend. It fills in the name.
func (o *Origin) Check() error {
	u, err := parseOrigin(o.URL)
	if err != nil {
		return err
	}
	o.Name = cmp.Or(o.Name, u.Hostname())
	if o.Sum != "" && !fetch.IsSum(o.Sum) {
		if _, err := parseOrigin(o.Sum); err != nil {
			return fmt.Errorf("sha256 is neither 64 hexadecimal digits nor a URL: %w", err)
		}
	}
	secret := o.Token != "" || o.User != "" || len(o.Header) > 0
	for _, raw := range []string{o.URL, o.Sum} {
		if u, err := parseOrigin(raw); secret && err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
			return fmt.Errorf("%s would be told a secret in clear text; write https", u.Hostname())
		}
	}
	return nil
}

// parseOrigin is a URL with its placeholders in it. Its host has none, and its error quotes nothing.
func parseOrigin(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil && strings.Contains(err.Error(), "userinfo") || err == nil && u.User != nil:
		return nil, errors.New("a user or password in the URL would be shown; write them as basic_auth")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("want the name of a preset, or a URL of http or https whose host is no placeholder")
	case strings.ContainsAny(u.Host, "{}"):
		return nil, errors.New("the host of the URL is a placeholder; a {$VARIABLE} is replaced when the Caddyfile is read, and may be one")
	}
	return u, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Shown is the URL without what could be a secret: its placeholders stay, and its query goes.
func (o *Origin) Shown() string {
	u, err := parseOrigin(o.URL)
	if err != nil {
		return ""
	}
	text, _, _ := strings.Cut(o.URL, "#")
	text, _, _ = strings.Cut(text, "?")
	if u.RawQuery != "" {
		text += "?…"
	}
	return text
}

// try is one thing to ask the origin for.
type try struct {
	url, sum string
	header   http.Header // for the host of url
	sumToo   bool        // and for that of sum
	key      string      // tells what an ETag belongs to; nothing secret can be read out of it
	name     string      // of the file that is downloaded
	secrets  []string    // that no error may show
}

// maxDates is how many days, months or years are asked for.
const maxDates = 3

// tries are what to ask for at that time, the newest first.
func (o *Origin) tries(now time.Time, expand func(string, map[string]string) (string, error)) (all []try, err error) {
	for _, at := range o.dates(now.UTC()) {
		t, err := o.try(dateVars(at), expand)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func (o *Origin) dates(now time.Time) (all []time.Time) {
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC) // no month before has a 31st, it may be
	for n := range maxDates {
		switch {
		case strings.Contains(o.URL, "{day}"):
			all = append(all, now.AddDate(0, 0, -n))
		case strings.Contains(o.URL, "{month}"):
			all = append(all, first.AddDate(0, -n, 0))
		case strings.Contains(o.URL, "{year}"):
			all = append(all, first.AddDate(-n, 0, 0))
		default:
			return []time.Time{now}
		}
	}
	return all
}

func dateVars(at time.Time) map[string]string {
	return map[string]string{"year": at.Format("2006"), "month": at.Format("01"), "day": at.Format("02")}
}

// key tells a URL from others by what the operator wrote.
func (o *Origin) key(vars map[string]string) string {
	dated, _ := expand(o.URL, vars)
	sum := sha256.Sum256([]byte(dated))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// keys are those of the tries at that time.
func (o *Origin) keys(now time.Time) (keys []string) {
	for _, at := range o.dates(now.UTC()) {
		keys = append(keys, o.key(dateVars(at)))
	}
	return keys
}

func (o *Origin) try(vars map[string]string, expand func(string, map[string]string) (string, error)) (t try, err error) {
	t.key = o.key(vars)
	secret := func(text string) string {
		if text == "" || err != nil {
			return ""
		}
		if text, err = expand(text, vars); err == nil && len(text) > 3 {
			t.secrets = append(t.secrets, text, url.QueryEscape(text), strconv.Quote(text))
		}
		return text
	}
	token, user, password := secret(o.Token), secret(o.User), secret(o.Password)
	t.header = make(http.Header)
	for name, value := range o.Header {
		t.header.Set(name, secret(value))
	}
	inURL := strings.Contains(o.URL+o.Sum, "{token}")
	switch {
	case user != "":
		t.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	case token != "" && !inURL:
		t.header.Set("Authorization", "Bearer "+token)
	}
	if err != nil {
		return t, err
	}
	if inURL && token == "" {
		return t, errors.New("the URL wants a token, and there is none")
	}
	vars["token"] = url.QueryEscape(token)
	if t.url, err = expand(o.URL, vars); err != nil {
		return t, err
	}
	if fetch.IsSum(o.Sum) {
		t.sum = strings.ToLower(o.Sum)
	} else if t.sum, err = expand(o.Sum, vars); err != nil {
		return t, err
	}
	from, err := url.Parse(t.url)
	if err != nil {
		return t, errors.New("what the placeholders stand for makes no URL")
	}
	t.name = from.Path[strings.LastIndexByte(from.Path, '/')+1:]
	sum, err := url.Parse(t.sum)
	t.sumToo = err == nil && sum.Scheme == from.Scheme && strings.EqualFold(sum.Host, from.Host)
	for _, values := range from.Query() {
		for _, v := range values {
			if len(v) >= 8 { // a token that is written there; shorter ones are words
				t.secrets = append(t.secrets, v)
			}
		}
	}
	return t, nil
}

// Hosts are those that the origin names: the URL's and its checksum's.
func (o *Origin) Hosts() (hosts []string) {
	for _, raw := range []string{o.URL, o.Sum} {
		if u, err := parseOrigin(raw); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}
