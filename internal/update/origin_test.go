package update

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/fetch"
)

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		o    Origin
		want string
	}{
		{Origin{URL: "tranko"}, "want the name of a preset, or a URL"},
		{Origin{URL: ""}, "want the name of a preset, or a URL"},
		{Origin{URL: "ftp://example.org/x"}, "want the name of a preset, or a URL"},
		{Origin{URL: "https:///x"}, "want the name of a preset, or a URL"},
		{Origin{URL: "https://me:s3cr3t@example.org/x"}, "basic_auth"},
		{Origin{URL: "https://{env.A}:{env.B}@example.org/x"}, "basic_auth"},
		{Origin{URL: "https://{env.HOST}/x"}, "placeholder"},
		{Origin{URL: dataURL, Sum: "abc"}, "sha256 is neither"},
		{Origin{URL: "http://example.org/x", Token: "s3cr3t"}, "example.org would be told a secret in clear text"},
		{Origin{URL: dataURL, Sum: "http://example.org/x", Token: "s3cr3t"}, "clear text"},
		{Origin{URL: "http://example.org/x", User: "s3cr3t"}, "clear text"},
		{Origin{URL: "http://example.org/x", Header: map[string]string{"a": "s3cr3t"}}, "clear text"},
	} {
		o := Options{File: "/x", Origin: tt.o, Client: fetch.New(fetch.Options{}), Probe: func(context.Context, string) (Facts, error) { return Facts{}, nil }}
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%+v: %v, want %s", tt.o, err, tt.want)
		}
	}
	if _, err := New(Options{File: "x"}); err == nil {
		t.Error("a relative path was taken")
	}
	for _, ok := range []Origin{{URL: "http://127.0.0.1:1/x", Token: "t"}, {URL: "http://[::1]/x", Token: "t"}, {URL: "http://example.org/x"},
		{URL: "https://example.org/{env.PATH}?t={token}", Token: "t"}} {
		if err := ok.Check(); err != nil {
			t.Errorf("%s: %v", ok.URL, err)
		}
	}
}

func TestOriginShown(t *testing.T) {
	for raw, want := range map[string]string{
		"https://example.org/a?token=s3cr3t":        "https://example.org/a?…",
		"https://example.org/{env.KEY}/{year}.mmdb": "https://example.org/{env.KEY}/{year}.mmdb",
		"https://example.org:8443/a#b":              "https://example.org:8443/a",
	} {
		if got := (&Origin{URL: raw}).Shown(); got != want {
			t.Errorf("%s is shown as %s, want %s", raw, got, want)
		}
	}
}

func TestOriginDates(t *testing.T) {
	o := Origin{URL: "https://example.org/{year}-{month}-{day}"}
	for _, tt := range []struct{ url, now, want string }{
		{"{year}-{month}-{day}", "2026-03-01", "2026-03-01 2026-02-28 2026-02-27"},
		{"{year}-{month}", "2026-03-31", "2026-03 2026-02 2026-01"},
		{"{year}-{month}", "2026-01-31", "2026-01 2025-12 2025-11"},
		{"{year}", "2026-12-31", "2026 2025 2024"},
		{"", "2026-03-01", ""},
	} {
		o.URL = "https://example.org/" + tt.url
		now, _ := time.Parse(time.DateOnly, tt.now)
		tries, err := o.tries(now, expand)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, try := range tries {
			got = append(got, strings.TrimPrefix(try.url, "https://example.org/"))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s on %s: %s, want %s", tt.url, tt.now, s, tt.want)
		}
	}
}

func TestPresets(t *testing.T) {
	if !slices.IsSortedFunc(presets, func(a, b Preset) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not in the order of their names")
	}
	for _, p := range Presets() {
		o := p.Origin
		if p.Auth != NoAuth {
			o.Token, o.User = "token", "user"
		}
		if err := o.Check(); err != nil || !strings.HasPrefix(o.URL, "https:") || p.About == "" || p.Licence == "" || p.Every == 0 {
			t.Errorf("%+v: %v", p, err)
		}
		wants := strings.Contains(o.URL, "{token}")
		if wants != (p.Auth == TokenNeeded) || (p.TokenOrigin != nil) != (p.Auth == TokenOptional) {
			t.Errorf("%s: a token is %q, and the URL is %s", p.Name, p.Auth, o.URL)
		}
		if got, ok := PresetOf(p.Kind, p.Name); !ok || got.About != p.About {
			t.Errorf("%s is not found", p.Name)
		}
		if _, ok := PresetOf("iana", p.Name); ok {
			t.Errorf("%s is found for another kind", p.Name)
		}
	}
	if _, ok := PresetOf("mmdb", "nobody"); ok {
		t.Error("a preset of nobody's")
	}
}
