package registryfarm_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/registryfarm"
)

// fetch gets a bootstrap file, on the conditions that header has.
func fetch(t *testing.T, f *registryfarm.Farm, file string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, f.BootstrapURL()+file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

type bootstrapFile struct {
	Version, Publication string
	Services             [][][]string
}

func TestBootstrap(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	for _, tt := range []struct {
		file string
		want []string
	}{
		{"dns.json", []string{"secure"}}, {"ipv4.json", []string{"192.0.2.0/24"}}, {"ipv6.json", []string{"2001:db8::/32"}},
		{"asn.json", []string{"64496-64511"}}, {"object-tags.json", []string{"FARM"}},
	} {
		_, body := fetch(t, f, tt.file, nil)
		var got bootstrapFile
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Version != "1.0" || len(got.Services) == 0 {
			t.Fatalf("%s: %v\n%s", tt.file, err, body)
		}
		s := got.Services[0]
		if !slices.Equal(s[len(s)-2], tt.want) || !slices.Equal(s[len(s)-1], []string{f.RDAPURL("secure")}) {
			t.Errorf("%s: %q", tt.file, s)
		}
	}
}

func TestBootstrapIsConditional(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	resp, _ := fetch(t, f, "dns.json", nil)
	tag, date := resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	status := func(key, value string) int {
		resp, _ := fetch(t, f, "dns.json", http.Header{key: {value}})
		return resp.StatusCode
	}
	if a, b := status("If-None-Match", tag), status("If-Modified-Since", date); a != 304 || b != 304 || resp.Header.Get("Cache-Control") == "" {
		t.Errorf("by tag %d, by date %d", a, b)
	}
	if got := f.BootstrapFetches("dns.json"); got != (registryfarm.Fetches{All: 3, NotModified: 2}) {
		t.Errorf("fetches %+v", got)
	}
	if err := f.Republish(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if a, b := status("If-None-Match", tag), status("If-Modified-Since", date); a != 200 || b != 200 {
		t.Errorf("after another publication: by tag %d, by date %d", a, b)
	}
}

func TestBootstrapFaults(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	whole, _ := fetch(t, f, "dns.json", nil)
	for _, tt := range []struct {
		fault   registryfarm.Fault
		status  int
		isJSON  bool
		entries int
	}{{registryfarm.Fails, 500, false, 0}, {registryfarm.Garbled, 200, false, 0}, {registryfarm.WebPage, 200, false, 0},
		{registryfarm.Shrunk, 200, true, 1}, {registryfarm.NewVersion, 200, true, 4}, {registryfarm.Sound, 200, true, 4}} {
		f.BreakBootstrap(tt.fault, "dns.json")
		header := http.Header{"If-None-Match": {whole.Header.Get("ETag")}}
		if tt.fault == registryfarm.Sound {
			header = nil
		}
		resp, body := fetch(t, f, "dns.json", header)
		var got bootstrapFile
		err := json.Unmarshal([]byte(body), &got)
		if resp.StatusCode != tt.status || (err == nil) != tt.isJSON || len(got.Services) != tt.entries {
			t.Errorf("fault %d: status %d, %d entries, %v", tt.fault, resp.StatusCode, len(got.Services), err)
		}
		if resp, _ := fetch(t, f, "asn.json", nil); resp.StatusCode != 200 {
			t.Errorf("fault %d has spread", tt.fault)
		}
	}
}
