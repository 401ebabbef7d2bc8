package caddyenrich

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/internal/update"
)

func TestUpdateSettings(t *testing.T) {
	for _, tt := range []struct {
		kind string
		u    Update
		want string // in the error; empty for none
	}{
		{"rank", Update{From: "tranco"}, ""},
		{"mmdb", Update{From: "ipinfo_lite", Token: "{env.TOKEN}"}, ""},
		{"mmdb", Update{From: "iplocate_asn"}, ""},
		{"mmdb", Update{From: "geolite2_asn", User: "{env.A}", Password: "{env.B}"}, ""},
		{"mmdb", Update{From: "https://example.org/{year}.mmdb", Every: caddy.Duration(time.Second)}, ""},

		{"mmdb", Update{From: "tranco"}, `no preset for mmdb is named "tranco"; there are dbip_asn_lite, dbip_city_lite`},
		{"rank", Update{From: "ipinfo_lite"}, "there are majestic, tranco, umbrella; or write a URL"},
		{"rank", Update{From: "file:///etc/passwd"}, "want the name of a preset, or a URL of http or https"},
		{"rank", Update{From: "https://user:s3cr3t@example.org/x"}, "basic_auth"},
		{"mmdb", Update{From: "ipinfo_lite"}, "the publisher wants a token, as in: token {env.TOKEN}"},
		{"mmdb", Update{From: "geolite2_city", User: "1"}, "the publisher wants an account and its licence key"},
		{"mmdb", Update{From: "https://example.org/", Password: "x"}, "a password without a user"},
		{"mmdb", Update{From: "https://example.org/", Token: "x", User: "y"}, "two ways to say who asks"},
		{"rank", Update{From: "tranco", Every: caddy.Duration(time.Minute)}, "every 1m0s is more often than 1h0m0s"},
		{"rank", Update{From: "https://example.org/", Every: 1}, "every 1ns is more often than 1s"},
		{"rank", Update{From: "http://example.org/", Token: "s3cr3t"}, "in clear text"},
		{"rank", Update{From: "https://example.org/", SHA256: "abc"}, "sha256 is neither"},
		{"rank", Update{From: "tranco", Egress: Egress{TrustedCA: []string{"/absent"}}}, "trusted_ca"},
		{"rank", Update{From: "tranco", Egress: Egress{Bootstrap: []*BootstrapResolver{{Server: "1.1.1.1"}}}}, "bootstrap"},
	} {
		o, terms, err := tt.u.settings(tt.kind)
		if err == nil { // as newUpkeep does
			o.File, o.Probe = "/x", func(context.Context, string) (f update.Facts, err error) { return f, err }
			_, err = update.New(o)
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.u, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") || strings.Contains(tt.u.shown(), "s3cr3t") {
			t.Errorf("%+v: the secret is shown: %v", tt.u, err)
		}
		if err == nil && !strings.Contains(tt.u.From, ":") && (o.Origin.Name != tt.u.From || terms.Licence == "") {
			t.Errorf("%+v: called %s, licence %+v", tt.u, o.Origin.Name, terms)
		}
	}
	// A token that is not needed makes another URL.
	o, _, err := (&Update{From: "iplocate_asn", Token: "x"}).settings("mmdb")
	if err != nil || !strings.Contains(o.Origin.URL, "apikey={token}") {
		t.Errorf("%s, %v", o.Origin.URL, err)
	}
}

func TestUpdateFile(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, tt := range []struct {
		paths    []string
		to, want string
		fail     string
	}{
		{[]string{at("a.mmdb")}, "", at("a.mmdb"), ""},
		{[]string{at("a.mmdb"), at("b.mmdb")}, at("b.mmdb"), at("b.mmdb"), ""},
		{[]string{at("*.mmdb")}, at("b.mmdb"), at("b.mmdb"), ""},
		{[]string{data}, at("data/b.mmdb"), at("data/b.mmdb"), ""},
		{[]string{at("a.mmdb"), at("b.mmdb")}, "", "", "say which file it is for"},
		{[]string{at("*.mmdb")}, "", "", "say which file it is for"},
		{[]string{data}, "", "", "say which file it is for"},
		{[]string{at("a.mmdb")}, at("b.mmdb"), "", "does not read that file"},
		{[]string{data}, at("data/b.csv"), "", "does not read that file"},
	} {
		reads := func(path string) bool {
			return matches(tt.paths, path, func(p string) bool { return filepath.Ext(p) == ".mmdb" })
		}
		got, err := (&Update{To: tt.to}).fileOf(tt.paths, reads)
		if err == nil && got != tt.want || (err == nil) != (tt.fail == "") || err != nil && !strings.Contains(err.Error(), tt.fail) {
			t.Errorf("%s to %q: %s, %v", tt.paths, tt.to, got, err)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Setenv("WHENCE_TEST_TOKEN", "s3cr3t")
	got, err := expand("https://example.org/{year}?t={token}&e={env.WHENCE_TEST_TOKEN}", map[string]string{"year": "2026", "token": "x%20y"})
	if err != nil || got != "https://example.org/2026?t=x%20y&e=s3cr3t" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := expand("{env.WHENCE_TEST_NONE}", nil); err == nil || !strings.Contains(err.Error(), "WHENCE_TEST_NONE") {
		t.Errorf("a placeholder of nothing: %v", err)
	}
}

// lock is a storage's.
type lock struct{ log []string }

func (l *lock) Lock(_ context.Context, name string) error {
	l.log = append(l.log, "+"+name)
	return nil
}

func (l *lock) Unlock(_ context.Context, name string) error {
	l.log = append(l.log, "-"+name)
	return nil
}

// TestLockers unlocks the storage that was locked, though a newer configuration came meanwhile.
func TestLockers(t *testing.T) {
	var ls lockers
	if err := ls.Lock(t.Context(), "x"); err == nil {
		t.Error("locked without a storage")
	}
	one, two := new(lock), new(lock)
	withdraw := ls.stack.Push(one)
	if err := ls.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	ls.stack.Push(two)
	withdraw()
	if err := ls.Unlock(t.Context(), "x"); err != nil || strings.Join(one.log, "") != "+x-x" || two.log != nil {
		t.Errorf("%v, %v, %v", one.log, two.log, err)
	}
	if err := ls.Unlock(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}
