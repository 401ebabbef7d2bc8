//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	const good = "Running 2s test @ http://127.0.0.1:1\n  2 threads and 64 connections\n  101010 requests in 2.01s, 33.16MB read\nRequests/sec:  50253.73\n"
	n, elapsed, err := parseWrk([]byte(good))
	if n != 101010 || elapsed != 2010*time.Millisecond || err != nil {
		t.Errorf("%d requests in %v (%v)", n, elapsed, err)
	}
	for _, bad := range []string{
		"", "unable to connect to 127.0.0.1:1 Connection refused\n", strings.Replace(good, "101010", "0", 1),
		good + "  Socket errors: connect 0, read 1, write 0, timeout 0\n", good + "  Non-2xx or 3xx responses: 5\n",
	} {
		if _, _, err := parseWrk([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestCheckAnswers(t *testing.T) {
	const known = `{"alerts":["No whois record for a.com"],"category":"ERROR","freq_score":[1.0,2.0],"seen_by_isc":"ERROR",` +
		`"seen_by_web":"ERROR","seen_by_you":"Sat, 21 Nov 2026 00:00:00 GMT"}` + "\n"
	isNew := strings.Replace(known, `["No`, `["YOUR-FIRST-CONTACT","No`, 1)
	if err := checkKnown("a.com", []byte(known)); err != nil {
		t.Error(err)
	}
	if err := checkNew("a.com", []byte(isNew)); err != nil {
		t.Error(err)
	}
	if checkKnown("a.com", []byte(isNew)) == nil || checkNew("a.com", []byte(known)) == nil {
		t.Error("known and new are not told apart")
	}
	if checkKnown("b.com", []byte(known)) == nil || checkNew("b.com", []byte(isNew)) == nil {
		t.Error("an answer about another name passes")
	}
	if checkKnown("a.com", []byte(strings.Replace(known, "Sat, 21 Nov 2026 00:00:00 GMT", "ERROR", 1))) == nil {
		t.Error("an answer without a sighting passes")
	}
}

func TestCheckLines(t *testing.T) {
	line := func(name string) string { return `{"subject":"` + name + `","kind":"domain","rank":1}` + "\n" }
	names := []string{"a.com", "b.com", "c.com"}
	all := line("a.com") + line("b.com") + line("c.com")
	for _, tc := range []struct{ name, lines, wrong string }{
		{"all", all, ""},
		{"another order", line("b.com") + line("a.com") + line("c.com"), "line 1"},
		{"one less", line("a.com") + line("b.com"), "after line 2 of 3"},
		{"one more", all + line("d.com"), "line 4"},
		{"cut short", strings.TrimSuffix(all, "\n"), "after line 2 of 3"},
		{"no rank", strings.Replace(all, `,"rank":1`, "", 1), "line 1"},
	} {
		size, err := checkLines(strings.NewReader(tc.lines), names)
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v, want an error with %q", tc.name, err, tc.wrong)
		}
		if err == nil && size != int64(len(tc.lines)) {
			t.Errorf("%s: %d bytes", tc.name, size)
		}
	}
}

func TestSynthesise(t *testing.T) {
	a, b := synthesise(20_000), synthesise(20_000)
	seen := make(map[string]bool)
	for i, name := range a {
		if name != b[i] || seen[name] || !strings.Contains(name, ".") {
			t.Fatalf("name %d is %q, then %q; there before: %v", i, name, b[i], seen[name])
		}
		seen[name] = true
	}
}
