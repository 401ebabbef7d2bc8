package domainstats

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// These tests do to our answers what callers in the field do to the originals'. The patterns are theirs in effect, not their text.

// Security Onion tags what is among the top million: the body is not "0".
func TestCallerSecurityOnionAlexa(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Rank = ranks })
	for name, want := range map[string]bool{"sans.org": true, "example.com": false} {
		if got := get(t, a, "/alexa/"+name) != "0"; got != want {
			t.Errorf("%s is in the top million: %v, want %v", name, got, want)
		}
	}
}

// ThreatHunt's lab makes a float of the rank of full host names.
func TestCallerThreatHunt(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Rank = ranks })
	for _, name := range []string{"www.sans.org", "www.example.org", "host.example.com", "printer"} {
		if body := get(t, a, "/alexa/"+name); !isFloat(body) {
			t.Errorf("%s: %q is no number", name, body)
		}
	}
}

// Security Onion reads the creation date in one of four forms, unless there is none.
func TestCallerSecurityOnionCreated(t *testing.T) {
	a := newAPI(t, nil)
	for name, want := range map[string]string{"sans.org": "1995-08-04", "example.com": ""} {
		body := get(t, a, "/domain/creation_date/"+name)
		if strings.Contains(body, "No whois record") {
			body = ""
		}
		got := ""
		for _, layout := range []string{"2006-01-02 15:04:05; ", "2006-01-02 15:04:05;", "2006-01-02T15:04:05Z; ", "2006-01-02T15:04:05.00Z; "} {
			if at, err := time.Parse(layout, body); err == nil {
				got = at.Format(time.DateOnly)
			}
		}
		if got != want {
			t.Errorf("%s: %q read as %q, want %q", name, body, got, want)
		}
	}
}

// HASecuritySolutions' Logstash filters take the first date out of the body with a grok pattern.
func TestCallerGrok(t *testing.T) {
	grok := regexp.MustCompile(`^(?P<creation_date>(?:\d\d){1,2}-(?:0?[1-9]|1[0-2])-(?:(?:0[1-9])|(?:[12][0-9])|(?:3[01])|[1-9]))`)
	a := newAPI(t, nil)
	if m := grok.FindStringSubmatch(get(t, a, "/domain/creation_date/sans.org")); m == nil || m[1] != "1995-08-04" {
		t.Errorf("grok found %q", m)
	}
	if body := get(t, a, "/domain/creation_date/example.com"); !strings.Contains(body, "No whois") || grok.MatchString(body) {
		t.Errorf("%q is taken for a date", body)
	}
}

// Bro's script for domain_stats2 takes the fields by their place between commas.
func TestCallerBroB0(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Format = FormatB0 })
	parts := strings.Split(get(t, a, "/young.com"), ",")
	if len(parts) != 5 {
		t.Fatalf("%d parts: %q", len(parts), parts)
	}
	for i, want := range []string{"2020-10-01 00:00:00", "UNSUPPORTED", "FIRST-CONTACT", "-1", "{}"} {
		_, value, _ := strings.Cut(parts[i], ": ")
		value = strings.Trim(strings.TrimSuffix(value, "}}"), `"`)
		if i == 4 {
			value = "{}"
		}
		if value != want {
			t.Errorf("part %d: %q, want %q", i, value, want)
		}
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(get(t, a, "/sans.org")), &fields); err != nil || fields["seen_by_you"] != "FIRST-CONTACT" || fields["seen_by_web"] != "ESTABLISHED" {
		t.Errorf("%v: %v", fields, err)
	}
}

// Zeek's script of version 2 does the same with format B.
func TestCallerZeekB(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Format = FormatB })
	for name, want := range map[string][]string{
		"sans.org":         {"1995-08-04 04:00:00", "RDAP", seenText, "ESTABLISHED", "[\"YOUR-FIRST-CONTACT\"]"},
		"microsoft.com.au": {"ERROR", "ERROR", seenText, "ERROR", "[\"YOUR-FIRST-CONTACT\""},
	} {
		parts := strings.Split(strings.TrimSuffix(get(t, a, "/"+name), "}"), ",")
		for i := range want {
			_, value, _ := strings.Cut(parts[i], ": ")
			if i < 4 {
				value = strings.Trim(value, `"`)
			}
			if value != want[i] {
				t.Errorf("%s, part %d: %q, want %q", name, i, value, want[i])
			}
		}
	}
}

// Zeek's script of version 3 cuts format C at these marks, and reads the scores with a pattern.
func TestCallerZeekC(t *testing.T) {
	freq := regexp.MustCompile(`\[[0-9.]+, ?[0-9.]+\]`)
	a := newAPI(t, func(o *Options) { o.Score = scores })
	for name, want := range map[string][6]string{
		"sans.org": {`{"alerts":["YOUR-FIRST-CONTACT"]`, "ESTABLISHED", "[6.2885,7.9696]", "RDAP", "Fri, 04 Aug 1995 04:00:00 GMT", seenNow},
		"ggpht.com": {`{"alerts":["LOW-FREQ-SCORES","YOUR-FIRST-CONTACT","No whois record for ggpht.com"]`, "ERROR", "[4.0377,3.871]", "ERROR",
			"ERROR", seenNow},
		"google": {`{"alerts":["No valid eTLD exists for this domain."]`, "ERROR", "[6.1,5.0]", "ERROR", "ERROR", "ERROR"},
	} {
		body := get(t, a, "/"+name)
		var got [6]string
		for i, mark := range []string{`,"category`, `","freq`, `,"seen_by_isc`, `","seen_by_web`, `","seen_by_you`} {
			var ok bool
			if got[i], body, ok = strings.Cut(body, mark); !ok {
				t.Fatalf("%s: no mark %s", name, mark)
			}
		}
		got[5] = body
		for i := range got {
			switch i {
			case 1, 3, 4:
				got[i] = strings.TrimPrefix(got[i], `":"`)
			case 2:
				got[i] = freq.FindString(got[i])
			case 5:
				got[i] = strings.TrimSuffix(strings.TrimPrefix(got[i], `":"`), "\"}\n")
			}
		}
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
}

// Wazuh's integration wants all the keys, and its rules look for these words.
func TestCallerWazuh(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Score = scores })
	var words []string
	for _, name := range []string{"www.sans.org", "young.com", "dateless.de", "google"} {
		var v struct {
			Alerts    []string  `json:"alerts"`
			Category  *string   `json:"category"`
			FreqScore []float64 `json:"freq_score"`
			Web       *string   `json:"seen_by_web"`
			ISC       *string   `json:"seen_by_isc"`
			You       *string   `json:"seen_by_you"`
		}
		if err := json.Unmarshal([]byte(get(t, a, "/"+name)), &v); err != nil {
			t.Fatal(err)
		}
		if v.Alerts == nil || v.Category == nil || len(v.FreqScore) != 2 || v.Web == nil || v.ISC == nil || v.You == nil {
			t.Errorf("%s: a key is missing: %+v", name, v)
		}
		words = append(append(words, v.Alerts...), *v.Category)
	}
	for _, want := range []string{"LOW-FREQ-SCORES", "SUSPECT-FREQ-SCORE", "YOUR-FIRST-CONTACT", "NEW", "ESTABLISHED", "ERROR"} {
		if !slices.Contains(words, want) {
			t.Errorf("no rule can find %s in %q", want, words)
		}
	}
}

// SOF-ELK wants the scores of whatever it has for a parent domain, a subdomain or a virtual host.
func TestCallerSOFELK(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Score = scores })
	for _, name := range []string{"sans.org", "google", "isc.sans.org", "WIN-7K2"} {
		var v struct {
			FreqScore []float64 `json:"freq_score"`
		}
		if err := json.Unmarshal([]byte(get(t, a, "/"+name)), &v); err != nil || len(v.FreqScore) != 2 {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

// Elastic's ingest pipeline renames the keys of format C: each is there under its name.
func TestCallerElastic(t *testing.T) {
	var v map[string]any
	if err := json.Unmarshal([]byte(get(t, newAPI(t, nil), "/sans.org")), &v); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"alerts", "category", "freq_score", "seen_by_isc", "seen_by_web", "seen_by_you"} {
		if _, ok := v[key]; !ok {
			t.Errorf("no key %s in %v", key, v)
		}
	}
}

// Security Onion makes a float of /measure1, older versions two of /measure; Malcolm takes off the parentheses and cuts at the comma.
func TestCallerFreqServer(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Score = scores })
	if body := get(t, a, "/measure1/sansorg"); !isFloat(body) {
		t.Errorf("%q is no number", body)
	}
	body := strings.NewReplacer("(", "", ")", "").Replace(get(t, a, "/measure/sans.org"))
	first, second, ok := strings.Cut(body, ",")
	if !ok || !isFloat(first) || !isFloat(strings.TrimSpace(second)) {
		t.Errorf("%q is no pair of numbers", body)
	}
}

func isFloat(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
