package caddynotify

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/internal/digest"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// happened is what a test has happen, seconds after t0.
type happened struct {
	at   int
	name string
	data map[string]any
}

// message is what a digest makes of these, with places for most things.
func message(most int, list ...happened) *digest.Message {
	d := digest.NewDigest(most)
	for _, h := range list {
		d.Add(eventOf(h.name, t0.Add(time.Duration(h.at)*time.Second), h.data))
	}
	return &digest.Message{ID: "ID", Time: t0.Add(time.Minute), Content: d.Take()}
}

var server = map[string]any{"server": "tls://192.0.2.1:853 (dns.example)"}

func with(m map[string]any, key string, value any) map[string]any {
	n := map[string]any{key: value}
	for k, v := range m {
		n[k] = v
	}
	return n
}

// messages are messages by their names, of which the golden files show all forms.
var messages = map[string]*digest.Message{
	"down": message(9, happened{1, events.UpstreamDown, with(server, "error", "connection refused")}),
	"up": message(9, happened{1, events.UpstreamDown, with(server, "error", "connection refused")},
		happened{30, events.UpstreamUp, server}),
	"back": message(9, happened{30, events.UpstreamUp, server}),
	"everything": func() *digest.Message {
		m := message(20,
			happened{1, events.UpstreamDown, with(server, "error", "i/o timeout")}, happened{2, events.UpstreamUp, server},
			happened{3, events.UpstreamDown, with(server, "error", "connection refused")},
			happened{4, events.WorkerDown, map[string]any{"worker": "w1", "error": "no heartbeat"}},
			happened{5, events.FirstContact, map[string]any{"name": "example.org", "scope": "stats", "first_seen": "2026-11-21T10:00:05Z",
				"created": "1995-08-31T04:00:00Z", "event": uint64(17), "status": ""}},
			happened{6, events.FirstContact, map[string]any{"name": "new.example", "scope": "dns", "event": uint64(18)}},
			happened{6, events.NewDomain, map[string]any{"name": "new.example", "scope": "dns", "created": "2026-11-18T10:00:00Z", "age_days": 3,
				"registrar": "Alder <Names> & Co.", "event": uint64(18)}},
			happened{7, events.SourceRefused, map[string]any{"source": "mmdb", "file": "/data/a.mmdb", "error": "truncated", "last_good_serves": true}},
			happened{8, events.SourceRefused, map[string]any{"source": "rank", "file": "/data/top.csv", "error": "no names", "last_good_serves": false}},
			happened{9, events.SourceRefreshed, map[string]any{"source": "mmdb", "file": "/data/b.mmdb", "type": "Lite", "built": "2026-11-20T00:00:00Z",
				"records": 72000}},
			happened{10, events.QuorumDisagreement, map[string]any{"name": "bank.example", "decided": true, "said": "a: rcode 0 [192.0.2.1]; b: rcode 3 []"}},
			happened{11, events.DNSPolicy, map[string]any{"policy": "young", "name": "odd.example", "client": "192.0.2.7", "tags": []string{"young", "odd"},
				"blocked": true, "more": uint64(4), "rank": ""}},
			happened{12, "cert_failed", map[string]any{"identifier": "www.example.org", "renewal": true, "error": errors.New("no A record\nfound"),
				"remaining": 720 * time.Hour, "secret": struct{ Key string }{"x"}}},
			happened{13, "started", nil},
		)
		m.More, m.Lost = map[string]int{events.FirstContact: 999, "": 2}, 5
		return m
	}(),
}

// The words of messages are golden files: a mail, what is posted, and what is posted to Slack.
func TestWords(t *testing.T) {
	for name, m := range messages {
		posted, err := asJSON(m, "gw1.example.org")
		if err != nil {
			t.Fatal(err)
		}
		var indented strings.Builder
		encoder := json.NewEncoder(&indented)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		var v any
		if err := json.Unmarshal(posted, &v); err != nil {
			t.Fatal(err)
		}
		if err := encoder.Encode(v); err != nil {
			t.Fatal(err)
		}
		slack, err := asSlack(m, "gw1.example.org")
		if err != nil {
			t.Fatal(err)
		}
		var text struct{ Text string }
		if err := json.Unmarshal(slack, &text); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("Subject: %s\n\n%s\n----------\n%s----------\n%s\n", headline(m), body(m, "gw1.example.org"), indented.String(), text.Text)
		file := filepath.Join("testdata", name+".txt")
		if update := flag.Lookup("update"); update != nil && update.Value.String() == "true" { // package golden's
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// What events of others have is shown only as far as it can be, on one line, and cut short.
func TestShown(t *testing.T) {
	long := strings.Repeat("ü", mostText)
	data := map[string]any{
		"text": "two\nlines\x00\xff", "long": long, "nan": math.NaN(), "list": make([]string, 100), "bytes": []byte("PRIVATE KEY"),
		"struct": struct{ Password string }{"x"}, "nil": nil, "time": t0, "number": int64(-3),
	}
	e := eventOf("any", t0, data)
	for field, want := range map[string]any{"text": "two lines�", "nan": "NaN", "time": "2026-11-21T10:00:00Z", "number": int64(-3)} {
		if e.Data[field] != want {
			t.Errorf("%s: %#v, want %#v", field, e.Data[field], want)
		}
	}
	for _, field := range []string{"bytes", "struct", "nil"} {
		if v, ok := e.Data[field]; ok {
			t.Errorf("%s is shown: %v", field, v)
		}
	}
	if got := e.Data["long"].(string); len(got) > mostText+len("…") || !strings.HasSuffix(got, "ü…") {
		t.Errorf("long text of %d bytes", len(got))
	}
	if n := len(e.Data["list"].([]string)); n != mostList {
		t.Errorf("a list of %d", n)
	}
	for i := range 100 {
		data[fmt.Sprint("field", i)] = i
	}
	if n := len(eventOf("any", t0, data).Data); n != mostFields {
		t.Errorf("%d fields", n)
	}
	if _, err := asJSON(message(9, happened{0, "any", data}), "h"); err != nil {
		t.Error(err)
	}
}

// Every event of Whence has words of its own.
func TestKinds(t *testing.T) {
	for name := range events.Fields {
		k, ok := kinds[name]
		if !ok || k.title == "" || k.one == "" || k.many == "" || k.say == nil || len(k.keys) == 0 {
			t.Errorf("%s: %+v", name, k)
			continue
		}
		if got := k.say(&digest.Entry{Name: name, Key: "KEY"}); !strings.Contains(got, "KEY") || !strings.HasSuffix(got, ".") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if len(kinds) != len(events.Fields) {
		t.Errorf("%d kinds, %d events", len(kinds), len(events.Fields))
	}
}
