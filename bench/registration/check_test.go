//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/whence-project/whence/internal/registryfarm"
)

const (
	taken = "tulip.t001"
	free  = "free-tulip.t001"
)

// right is what /v1/lookup answers about a name of the farm.
func right(name string) string {
	f := registryfarm.Expected(name)
	if !f.Registered {
		return fmt.Sprintf(`{"subject":%q,"kind":"domain",`+
			`"sources":[{"source":"registration","fields":{"registration":"available","registration_via":"rdap"}}]}`, name)
	}
	list := func(s []string) string { b, _ := json.Marshal(s); return string(b) }
	at := func(t time.Time) string { return t.Format(time.RFC3339) }
	return fmt.Sprintf(`{"subject":%q,"kind":"domain","registrar":%q,"created":%q,"updated":%q,"expires":%q,"name_servers":%s,"status":%s,`+
		`"sources":[{"source":"iana","fields":{}},{"source":"registration","fields":{"registration":"registered","registration_via":"rdap",`+
		`"registrant_organization":%q,"registrant_email":%q}}]}`, name, f.Registrar, at(f.Created), at(f.Updated), at(f.Expires),
		list(f.NameServers), list(f.Status), f.Registrant.Organization, f.Registrant.Email)
}

func TestCheckAnswer(t *testing.T) {
	for _, name := range []string{taken, free} {
		if err := checkAnswer(name, "rdap", []byte(right(name))); err != nil {
			t.Error(err)
		}
	}
	facts := registryfarm.Expected(taken)
	swap := func(old, new string) string { return strings.Replace(right(taken), old, new, 1) }
	for what, line := range map[string]string{
		"class":        swap(`"registered"`, `"available"`),
		"protocol":     swap(`"rdap"`, `"whois"`),
		"registrar":    swap(facts.Registrar, "Somebody Else"),
		"creation":     swap(facts.Created.Format(time.RFC3339), "2001-02-03T04:05:06Z"),
		"change":       strings.Replace(right(taken), `"updated"`, `"changed"`, 1),
		"expiry":       swap(facts.Expires.Format(time.RFC3339), "2001-02-03T04:05:06Z"),
		"name servers": swap(facts.NameServers[0], "ns9.example.net"),
		"status":       swap(facts.Status[0], "serverHold"),
		"registrant":   swap(facts.Registrant.Organization, "Somebody Else"),
		"notes":        strings.TrimSuffix(right(taken), "}") + `,"notes":[{"source":"registration","kind":"stale","text":"old"}]}`,
		"subject":      right("rose.t001"),
		"JSON":         `{"subject"`,
	} {
		err := checkAnswer(taken, "rdap", []byte(line))
		if err == nil || what != "JSON" && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if checkAnswer(free, "rdap", []byte(strings.Replace(right(taken), taken, free, 1))) == nil {
		t.Error("a name that is free may be registered")
	}
	if checkAnswer(taken, "rdap", []byte(strings.Replace(right(free), free, taken, 1))) == nil {
		t.Error("a name that is registered may be available")
	}
}

func TestCheckList(t *testing.T) {
	names := []string{taken, free, "rose.t001"}
	all := right(taken) + "\n" + right(free) + "\n" + right("rose.t001") + "\n"
	if v, err := checkList(names, "rdap", []byte(all)); v != (verdict{}) || err != nil {
		t.Errorf("%+v (%v)", v, err)
	}
	const unfetched = `{"subject":"tulip.t001","kind":"domain","sources":[],"notes":[{"source":"registration","kind":"unfetched","text":"being looked up"}]}`
	some := unfetched + "\n" + right("rose.t001") + "\n" + right("rose.t001") + "\n"
	if v, err := checkList(names, "rdap", []byte(some)); v.wrong != 1 || v.none != 1 || err != nil || !strings.HasPrefix(v.example.Error(), free) {
		t.Errorf("%+v (%v)", v, err)
	}
	if _, err := checkList(names, "rdap", []byte(all+all)); err == nil {
		t.Error("more answers than names pass")
	}
	if _, err := checkList(names, "rdap", []byte(strings.TrimSuffix(all, "\n"))); err == nil {
		t.Error("answers that are cut short pass")
	}
}

func TestSynthesise(t *testing.T) {
	a, b := synthesise("t", 20_000, 200), synthesise("t", 20_000, 200)
	seen, available := make(map[string]bool), 0
	for i, name := range a {
		if name != b[i] || seen[name] {
			t.Fatalf("name %d is %q, then %q; there before: %v", i, name, b[i], seen[name])
		}
		seen[name] = true
		if f := registryfarm.Expected(name); !f.Registered {
			available++
		} else if f.Behaviour != registryfarm.Ordinary {
			t.Fatalf("%s is %s", name, f.Behaviour)
		}
	}
	if available != len(a)/freeOf {
		t.Errorf("%d of %d names are free", available, len(a))
	}
}

func TestCopyLines(t *testing.T) {
	var out bytes.Buffer
	calls, had := 0, 0
	text := strings.Repeat("line\n", 100)
	err := copyLines(&out, iotest.OneByteReader(strings.NewReader(text)), 50, func() { calls++; had = out.Len() })
	if err != nil || out.String() != text || calls != 1 || had != len(text)/2 {
		t.Errorf("%d bytes, called %d times, with %d bytes (%v)", out.Len(), calls, had, err)
	}
	if copyLines(&out, iotest.ErrReader(http.ErrAbortHandler), 1, func() {}) == nil {
		t.Error("an error is lost")
	}
}

// TestFarm asks the farm what the benchmark asks it.
func TestFarm(t *testing.T) {
	f, err := registryfarm.Start(registryfarm.Options{Registries: grow(2, 0), TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := httptest.NewServer(control(f, setupOf(f, 2)))
	defer s.Close()
	var has setup
	if err := request(s.Client(), http.MethodGet, s.URL+"/setup", &has); err != nil {
		t.Fatal(err)
	}
	if has.Bootstrap != f.BootstrapURL() || len(has.Whois) != 2 || has.Whois["w001"] == "" || f.RDAPURL("rdapt001") == "" {
		t.Errorf("the farm has %+v", has)
	}
	block := (&farm{setup: has, ca: "/farm.pem"}).block("1MiB", "\t\t\tpreload 5\n")
	for _, want := range []string{"registries " + f.BootstrapURL(), "memory 1MiB", "trusted_ca /farm.pem", "whois w000 " + has.Whois["w000"], "preload 5"} {
		if !strings.Contains(block, "\t\t\t"+want+"\n") {
			t.Errorf("the block has no line %q:\n%s", want, block)
		}
	}
	var c counts
	if err := request(s.Client(), http.MethodGet, s.URL+"/counts", &c); err != nil || c.Queries != 0 || c.Names != 0 {
		t.Errorf("nobody was asked, and the counts are %+v (%v)", c, err)
	}
	if err := request(s.Client(), http.MethodPost, s.URL+"/forget", nil); err != nil {
		t.Error(err)
	}
	if err := request(s.Client(), http.MethodGet, s.URL+"/other", nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a page that is not there: %v", err)
	}
}

func TestStatus(t *testing.T) {
	const text = `{"chains":{"lan":[{"name":"iana","kind":"iana"}],"":[{"name":"rank","kind":"rank","detail":null},
		{"name":"registration","kind":"registration","detail":{"hits":1,"preload":{"names":9,"done":5,"failed":1,"started":"2026-11-21T00:00:00Z"}}}]}}`
	var s status
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if p := s.preloading(); p.Names != 9 || p.Done != 5 || p.Failed != 1 || p.Started.IsZero() || !p.Finished.IsZero() {
		t.Errorf("%+v", p)
	}
	if p := new(status).preloading(); p != (progress{}) {
		t.Errorf("%+v", p)
	}
}
