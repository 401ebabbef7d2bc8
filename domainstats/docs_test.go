package domainstats

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// snippets are the fenced blocks of a language in the page.
func snippets(t *testing.T, lang string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/domain_stats.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		b.WriteString(m[1])
	}
	if b.Len() == 0 {
		t.Fatalf("no snippet in %s", lang)
	}
	return b.String()
}

// asked are the answers to the URLs in a snippet, with name where it has a variable.
func asked(t *testing.T, a *API, snippet, name string) (bodies []string) {
	t.Helper()
	for _, raw := range regexp.MustCompile(`http://localhost:8000/[^"' ]*`).FindAllString(snippet, -1) {
		u, err := url.Parse(regexp.MustCompile(`%\{[^}]*\}|%s`).ReplaceAllString(raw, name))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, get(t, a, u.RequestURI()))
	}
	if len(bodies) == 0 {
		t.Fatal("the snippet asks nothing")
	}
	return bodies
}

// The Logstash snippet's fields are in the answer, its words are found and its pattern matches.
func TestLogstashSnippet(t *testing.T) {
	snippet := snippets(t, "logstash")
	a := newAPI(t, nil)
	bodies := asked(t, a, snippet, "young.com")
	var stats map[string]any
	if err := json.Unmarshal([]byte(bodies[0]), &stats); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"([^"]+)" in \[domain_stats\]\[(\w+)\]`).FindAllStringSubmatch(snippet, -1) {
		if !strings.Contains(fmt.Sprint(stats[m[2]]), m[1]) {
			t.Errorf("%s is not in %s: %v", m[1], m[2], stats[m[2]])
		}
	}
	for _, m := range regexp.MustCompile(`\[domain_stats\]\[(\w+)\] == "(\w+)"`).FindAllStringSubmatch(snippet, -1) {
		if stats[m[1]] != m[2] {
			t.Errorf("%s is %v, not %s", m[1], stats[m[1]], m[2])
		}
	}
	grok := regexp.MustCompile(`"created" => "(.*?)"`).FindStringSubmatch(snippet)[1]
	if m := regexp.MustCompile(strings.ReplaceAll(grok, "(?<", "(?P<")).FindStringSubmatch(bodies[1]); m == nil || m[1] != "2020-10-01" {
		t.Errorf("%s finds %q in %q", grok, m, bodies[1])
	}
	unknown := asked(t, a, snippet, "example.com")[1]
	if word := regexp.MustCompile(`"([^"]+)" in \[created\]`).FindStringSubmatch(snippet)[1]; !strings.Contains(unknown, word) {
		t.Errorf("%q is not in %q", word, unknown)
	}
}

// Each pattern of the Zeek snippet finds its word, and finds it in no other answer.
func TestZeekSnippet(t *testing.T) {
	snippet := snippets(t, "zeek")
	a := newAPI(t, nil)
	body := asked(t, a, snippet, "young.com")[0]
	asked(t, a, snippet, "sans.org")
	again := asked(t, a, snippet, "sans.org")[0]
	patterns := regexp.MustCompile(`/(\S+)/ in r\$body`).FindAllStringSubmatch(snippet, -1)
	if len(patterns) != 2 {
		t.Fatalf("patterns %q", patterns)
	}
	for _, m := range patterns {
		if p := regexp.MustCompile(m[1]); !p.MatchString(body) || p.MatchString(again) {
			t.Errorf("%s: in %s or not in %s", p, again, body)
		}
	}
}

// Each rule of the Wazuh snippet finds its field, and the words that it looks for, each alone.
func TestWazuhSnippet(t *testing.T) {
	a := newAPI(t, nil)
	var found strings.Builder
	for _, name := range []string{"young.com", "dateless.de"} {
		var stats map[string]any
		if err := json.Unmarshal([]byte(get(t, a, "/"+name)), &stats); err != nil {
			t.Fatal(err)
		}
		for k, v := range stats {
			fmt.Fprintf(&found, "%s=%v\n", k, v)
		}
	}
	rules := regexp.MustCompile(`<field name="domain_stats\.(\w+)">([^<]+)</field>`).FindAllStringSubmatch(snippets(t, "xml"), -1)
	if len(rules) != 3 {
		t.Fatalf("rules %q", rules)
	}
	for _, m := range rules {
		for word := range strings.SplitSeq(m[2], "|") {
			if !regexp.MustCompile(`(?m)^` + m[1] + `=.*\b` + word + `\b`).MatchString(found.String()) {
				t.Errorf("%s: no %s in\n%s", m[1], word, &found)
			}
		}
	}
}

// Every curl command of the page asks a route that there is.
func TestDocumentedURLs(t *testing.T) {
	page, err := os.ReadFile("../docs/domain_stats.md")
	if err != nil {
		t.Fatal(err)
	}
	a := newAPIWithoutLedger(t, Options{Score: scores, Registration: registrations})
	n := 0
	for _, raw := range regexp.MustCompile(`curl [^\n|]*?http://localhost:8000(/[^' \n]*)`).FindAllStringSubmatch(string(page), -1) {
		path, query, _ := strings.Cut(raw[1], "?")
		if n++; a.match(path, query).route == routeNone {
			t.Errorf("%s is no route", raw[1])
		}
	}
	if n < 10 {
		t.Errorf("only %d commands", n)
	}
}
