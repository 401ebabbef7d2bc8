package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/internal/mailtest"
	"github.com/whence-project/whence/internal/testenv"
	"github.com/whence-project/whence/internal/webhook"
)

const smtpPassword, hookSecret = "s3cret-of-smtp", "s3cret-of-the-hook"

// mailTo is the handler mail for a server of the test's, with more lines. The password is in a file of the server's folder.
func (s *server) mailTo(m *mailtest.Server, lines ...string) string {
	s.t.Helper()
	s.write("mail.pem", string(m.CA()))
	s.write("smtp-password", smtpPassword+"\n")
	lines = append([]string{
		"server " + m.Addr(), "trusted_ca " + s.path("mail.pem"), "from Whence@example.org", "auth whence {file." + s.path("smtp-password") + "}",
	}, lines...)
	return "mail admin@example.org {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}

// quick is a pace for tests.
var quick = []string{"wait 50ms", "every 50ms", "limit 1000/m"}

// body waits for a mail in which all of these words are, and returns it.
func body(t *testing.T, m *mailtest.Server, words ...string) string {
	t.Helper()
	var found string
	eventually(t, fmt.Sprintf("a mail with %q", words), func() bool {
		mails, _ := m.Received()
		for _, r := range mails {
			if len(matching(strings.ReplaceAll(r.Body, "\n", " "), words)) > 0 {
				found = r.Body
				return true
			}
		}
		return false
	})
	return found
}

// hook is a receiver of webhooks.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	events []string // "name key"
}

func newHook(t *testing.T) *hook {
	h := new(hook)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if got, want := r.Header.Get(webhook.SignatureHeader), webhook.Sign(hookSecret, b); got != want {
			t.Errorf("signature %s of %s, want %s", got, b, want)
		}
		var m struct{ Events []struct{ Event, Key string } }
		if err := json.Unmarshal(b, &m); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range m.Events {
			h.events = append(h.events, e.Event+" "+e.Key)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) wait(t *testing.T, event string) {
	t.Helper()
	eventually(t, event, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.ContainsFunc(h.events, func(e string) bool { return strings.HasPrefix(e, event) })
	})
}

// TestEvents has everything happen that there is an event for, and finds it in mails and posts. Neither the debug log nor the
// configuration has a secret, and events have no other fields than those documented.
func TestEvents(t *testing.T) {
	s := newServer(t)
	m := mailtest.New(t, mailtest.Options{User: "whence", Password: smtpPassword})
	h := newHook(t)
	up, address, ca := newDoT(t, s, "dot.test")
	t.Setenv("WHENCE_TEST_HOOK", hookSecret)
	pace := strings.Join(quick, "\n\t\t\t")
	config := forwarder(address, "dot.test", ca, "observe {", "\tnew_domain 30d", "}", "block lists/*.txt",
		"policy seen {", "\tunranked", "\tevent", "\ttag seen", "}")
	config = strings.Replace(config, "\tdotforward {", "\tdebug\n\tenrich {\n\t\trecords ./records\n\t\tmmdb ./data/*.mmdb\n\t\tsightings\n\t}\n"+
		"\tnotify {\n\t\ton whence_first_contact whence_new_domain whence_upstream_down whence_upstream_up whence_source_refreshed whence_source_refused\n\t\t"+
		s.mailTo(m, quick...)+"\n\t}\n\tnotify {\n\t\ton *\n\t\twebhook "+h.URL+" {\n\t\t\tsecret {env.WHENCE_TEST_HOOK}\n\t\t\t"+pace+"\n\t\t}\n\t}\n\tdotforward {", 1)
	s.write("records/young.org", "created: "+time.Now().Add(-50*time.Hour).UTC().Format(time.RFC3339)+"\n")
	s.write("data/broken.mmdb", "no database")
	s.start(strings.Replace(config, "dns_query", "domain_stats", 1))
	addr := s.dns("udp")

	// Refused when nobody could hear of it yet.
	body(t, m, "mmdb has refused", "broken.mmdb; nothing serves in its place.", "error: ")
	mustFetch(t, s.client("site"), "/www.contact.org")
	body(t, m, "First contact with contact.org.", "scope: stats")
	mustResolve(t, "udp", addr, "www.young.org", dns.RcodeSuccess)
	body(t, m, "First contact with young.org.", "scope: dns")
	body(t, m, "young.org is a new domain, registered 2 days before it was first seen.", "scope: dns")
	h.wait(t, "whence_dns_policy www.young.org")

	s.copyFile(testenv.Path(t, "mmdb", "asn-country-ipv4only.mmdb"), "data/lite.mmdb")
	body(t, m, "mmdb has taken in", "lite.mmdb.", "records: ")
	s.write("data/lite.mmdb.part", "half a database")
	if err := os.Rename(s.path("data/lite.mmdb.part"), s.path("data/lite.mmdb")); err != nil {
		t.Fatal(err)
	}
	body(t, m, "mmdb has refused", "lite.mmdb; what was loaded before serves on.")
	s.write("lists/a.txt", "ads.example\n")
	body(t, m, "dotforward.block has taken in", "a.txt.")

	up.Stop()
	resolve("udp", addr, "down.example.org")
	body(t, m, "Upstream server", address, "is down since", "error: ")
	if _, err := up.Listen(strings.TrimPrefix(address, "tls://")); err != nil {
		t.Fatal(err)
	}
	body(t, m, "Upstream server", address, "is up again since", "it was down for")
	for _, event := range []string{"started", "whence_first_contact contact.org", "whence_new_domain young.org", "whence_upstream_down ",
		"whence_upstream_up ", "whence_source_refused ", "whence_source_refreshed "} {
		h.wait(t, event)
	}

	mails, _ := m.Received()
	for _, words := range []string{"is down since", "is up again since"} {
		if n := len(slices.DeleteFunc(slices.Clone(mails), func(r *mailtest.Received) bool { return !strings.Contains(r.Body, words) })); n != 1 {
			t.Errorf("%d mails of what %s", n, words)
		}
	}
	if r := mails[0]; r.User != "whence" || !r.TLS || r.Header.Get("From") != "<Whence@example.org>" || !strings.HasPrefix(r.Header.Get("Subject"), "[Whence] ") {
		t.Errorf("%+v", r)
	}
	metrics := s.get("/metrics")
	for _, want := range []string{`caddy_whence_notifications_total{handler="mail",outcome="sent"}`, `caddy_whence_notifications_total{handler="webhook",outcome="sent"}`,
		`caddy_whence_notification_events_total{handler="mail",outcome="told"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	s.noSecrets(smtpPassword, hookSecret)
	s.onlyDocumentedFields()
}

// noSecrets finds none of these in the log, in the configuration as the admin endpoint shows it, and in the metrics.
func (s *server) noSecrets(secrets ...string) {
	s.t.Helper()
	log := s.log.String()
	if len(matching(log, []string{"invoking subscribed handler"})) == 0 {
		s.t.Error("the log has no handlers: it is not a debug log")
	}
	for name, text := range map[string]string{"log": log, "configuration": s.get("/config/"), "metrics": s.get("/metrics")} {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				s.t.Errorf("%q is in the %s", secret, name)
			}
		}
	}
}

// onlyDocumentedFields holds the events in the debug log against the table in docs/events.md.
func (s *server) onlyDocumentedFields() {
	s.t.Helper()
	documented := documentedEvents(s.t)
	seen := make(map[string]bool)
	for _, line := range matching(s.log.String(), []string{`"logger":"events"`, `"msg":"event"`, `"name":"whence_`}) {
		var e struct {
			Name string
			Data map[string]any
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatal(err)
		}
		for field := range e.Data {
			if !slices.Contains(documented[e.Name], field) {
				s.t.Errorf("%s has the field %s, which docs/events.md does not have", e.Name, field)
			}
		}
		seen[e.Name] = true
	}
	if len(seen) < 7 {
		s.t.Errorf("only the events %v were seen", seen)
	}
}

// documentedEvents are the events in the table of docs/events.md with their fields.
func documentedEvents(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	table := make(map[string][]string)
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`whence_") {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[1]), "`")
		for field := range strings.FieldsSeq(cells[3]) {
			table[name] = append(table[name], strings.Trim(field, "`,"))
		}
	}
	if len(table) == 0 {
		t.Fatal("docs/events.md has no table of events")
	}
	return table
}

// TestNotificationsWait has events wait for their message over a reload; the end of the server sends it, and so does a reload that
// changes the settings.
func TestNotificationsWait(t *testing.T) {
	s := newServer(t)
	m := mailtest.New(t, mailtest.Options{User: "whence", Password: smtpPassword})
	config := func(lines ...string) string {
		return globals("\tnotify {\n\t\ton whence_first_contact\n\t\t"+s.mailTo(m, lines...)+"\n\t}") + unixSite("site", "")
	}
	s.start(config("wait 1h"))
	for i, step := range []string{config("wait 1h") + "# another configuration\n", config("wait 2h"), ""} {
		eventually(t, "an answer", func() bool { // Caddy's old site may take a connection and close it, in a reload
			status, _, err := fetch(s.client("site"), fmt.Sprintf("/n%d.org", i))
			return err == nil && status == http.StatusOK
		})
		s.log.wait(t, i+1, `"msg":"first contact"`)
		if step == "" {
			s.stop()
		} else if err := s.load(step); err != nil {
			t.Fatal(err)
		}
		if mails, _ := m.Received(); i == 0 && len(mails) > 0 {
			t.Errorf("it did not wait: %s", mails[0].Body)
		}
	}
	mails := m.Wait(t, 2)
	for i, want := range []string{"n0.org. n1.org.", "n2.org."} {
		for name := range strings.FieldsSeq(want) {
			if !strings.Contains(mails[i].Body, "First contact with "+name) {
				t.Errorf("mail %d lacks %s:\n%s", i, name, mails[i].Body)
			}
		}
	}
	if all, _ := m.Received(); len(all) != 2 {
		t.Errorf("%d mails", len(all))
	}
}

// TestMailServerAway has the server refuse the password, and go away, and takes the right password from the file without a reload. The
// log says so once, and not with what password.
func TestMailServerAway(t *testing.T) {
	s := newServer(t)
	m := mailtest.New(t, mailtest.Options{User: "whence", Password: "the-right-one"})
	s.start(globals("\tnotify {\n\t\ton whence_first_contact\n\t\t"+s.mailTo(m, quick...)+"\n\t}") + unixSite("site", ""))
	mustFetch(t, s.client("site"), "/refused.org")
	failed := s.log.wait(t, 1, `"logger":"events.handlers.mail"`, "not delivered", "authentication")
	if strings.Contains(failed, smtpPassword) {
		t.Errorf("the password is in %s", failed)
	}
	m.Stop()
	mustFetch(t, s.client("site"), "/away.org")
	s.write("smtp-password", "the-right-one")
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	mail := body(t, m, "First contact with refused.org.")
	if !strings.Contains(mail, "First contact with away.org.") {
		t.Errorf("two messages in place of one:\n%s", mail)
	}
	s.log.wait(t, 1, `"logger":"events.handlers.mail"`, "messages are delivered again")
	if n := len(matching(s.log.String(), []string{"not delivered"})); n != 1 {
		t.Errorf("%d lines that a message was not delivered", n)
	}
}

// TestFirstContactIsReplayed kills the server with kill -9 between the claim of a name, in both scopes, and its event, for which it waits
// for a registry that says nothing: the next server emits it, once.
func TestFirstContactIsReplayed(t *testing.T) {
	s := newServer(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, address, ca := newDoT(t, s, "dot.test")
	m := mailtest.New(t, mailtest.Options{User: "whence", Password: smtpPassword})
	config := func(sources string) string {
		c := strings.Replace(forwarder(address, "dot.test", ca, "observe {", "\tnew_domain 30d", "}"), "dns_query", "domain_stats {\nwait 0\n}", 1)
		return strings.Replace(c, "\tdotforward {", "\tenrich {\n\t\tsightings\n"+sources+"\t}\n\tnotify {\n\t\ton whence_first_contact\n\t\t"+
			s.mailTo(m, quick...)+"\n\t}\n\tdotforward {", 1)
	}
	s.start(config("\t\tregistration {\n\t\t\tregistries off\n\t\t\trdap example.org https://" + mute.Addr().String() + "/\n\t\t}\n"))
	mustResolve(t, "udp", s.dns("udp"), "www.example.org", dns.RcodeSuccess)
	mustFetch(t, s.client("site"), "/www.example.org")
	eventually(t, "both scopes have the name", func() bool {
		return strings.Contains(mustFetch(t, s.client("site"), "/v1/lookup/example.org"), `"seen_by":["dns","stats"]`)
	})
	s.kill()
	if mails, _ := m.Received(); len(mails) > 0 {
		t.Fatalf("it was told before: %s", mails[0].Body)
	}
	s.start(config(""))
	body(t, m, "First contact with example.org.")
	eventually(t, "an event in each scope", func() bool { return len(matching(s.log.String(), []string{`"msg":"first contact"`})) == 2 })
	s.stop()
	s.start(config(""))
	mustFetch(t, s.client("site"), "/www.example.net")
	body(t, m, "First contact with example.net.")
	if n := len(matching(s.log.String(), []string{`"msg":"first contact"`, `"example.org"`})); n != 2 {
		t.Errorf("%d first contacts", n)
	}
}
