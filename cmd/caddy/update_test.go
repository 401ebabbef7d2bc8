package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

const originToken = "s3cr3t-0f-the-0perator"

// publisher is a server over HTTPS that offers a database to those who have the token, packed and with a checksum.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	file  []byte
	sum   string        // of what it says it offers
	sent  int           // whole files
	asked int           // for the file or its checksum
	gate  chan struct{} // the file is sent when it is closed; nil: at once
	at    chan struct{} // one for each that waits for the gate
}

func newPublisher(t *testing.T, s *server) *publisher {
	p := &publisher{at: make(chan struct{}, 100)}
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(p.Close)
	t.Setenv("WHENCE_TEST_TOKEN", originToken)
	s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	return p
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	file, sum, gate := p.file, p.sum, p.gate
	p.mu.Unlock()
	switch {
	case r.URL.Query().Get("key") != originToken:
		http.Error(w, "no such key: "+r.URL.Query().Get("key"), http.StatusForbidden)
	case strings.HasSuffix(r.URL.Path, ".sha256"):
		fmt.Fprintf(w, "%s  own.mmdb.gz\n", sum)
	default:
		if gate != nil {
			p.at <- struct{}{}
			<-gate
		}
		p.mu.Lock()
		p.sent++
		p.mu.Unlock()
		w.Write(file)
	}
}

// offer has the publisher offer data from now on. What follows it in more says otherwise of its checksum.
func (p *publisher) offer(data []byte, sum ...string) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file, p.sum = b.Bytes(), fmt.Sprintf("%x", sha256.Sum256(b.Bytes()))
	if len(sum) > 0 {
		p.sum = sum[0]
	}
}

// close has the gate shut, and open opens it again.
func (p *publisher) shut() (open func()) {
	gate := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = gate
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.gate = nil
		close(gate)
	}
}

func (p *publisher) count() (sent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// options are those of a source that is kept fresh by the publisher.
func (p *publisher) options(every string) string {
	return "\tenrich {\n\t\tmmdb ./data/own.mmdb {\n\t\t\tupdate " + p.URL + "/own.mmdb.gz?key={token} every " + every + " {\n" +
		"\t\t\t\ttoken {env.WHENCE_TEST_TOKEN}\n\t\t\t\tsha256 " + p.URL + "/own.mmdb.gz.sha256?key={token}\n\t\t\t\ttrusted_ca ca.pem\n\t\t\t}\n\t\t}\n\t}\n"
}

func database(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(testenv.Path(t, "mmdb", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUpdate has a database come after the start, change while a reload goes on, and be refused: what was good serves all the time,
// and nobody is told the token.
func TestUpdate(t *testing.T) {
	s := newServer(t)
	p := newPublisher(t, s)
	first, second := database(t, "dbip-country-lite.mmdb"), database(t, "asn-country-ipv4only.mmdb")
	p.offer(first)
	config := func(footer string) string { // with debug, as what is logged then may show no token either
		return globals("\tdebug\n" + p.options("1s") + "\twhois {\n\t\tbind 127.0.0.1:0\n\t\tfooter \"% " + footer + "\"\n\t\tfooter attribution\n\t}")
	}
	s.start(config("one"))
	address := s.whois(0)
	has := func(words ...string) func() bool {
		return func() bool {
			got := ask(t, address, "8.8.8.8")
			for _, w := range words {
				if !strings.Contains(got, w) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "the first database serves", has("country_iso_code: US\r\n", "% one\r\n% IP Geolocation by DB-IP, https://db-ip.com"))

	open := p.shut()
	p.offer(second)
	<-p.at // it is being downloaded
	if err := s.load(config("two")); err != nil {
		t.Fatal(err)
	}
	if !has("country_iso_code: US\r\n", "% two")() {
		t.Errorf("while it is downloaded: %s", ask(t, address, "8.8.8.8"))
	}
	open()
	eventually(t, "the second database serves", has("country_code: US\r\n", "dbstatus: ok - data found\r\n% two\r\n"))
	if n := p.count(); n != 2 {
		t.Errorf("%d files were downloaded for 2", n)
	}

	p.offer(second[:len(second)/2])
	s.log.wait(t, 1, "data not updated", "refused: this is no MMDB file")
	p.offer(first)
	s.log.wait(t, 1, "data not updated", "refused: it was built 2020-03-0")
	s.log.wait(t, 2, `"whence_source_refused"`, `"last_good_serves":true`)
	if !has("country_code: US\r\n")() {
		t.Errorf("after what was refused: %s", ask(t, address, "8.8.8.8"))
	}
	s.log.wait(t, 1, `"data updated"`, `"from":"127.0.0.1"`)
	p.offer(second)
	var status struct {
		Chains map[string][]struct {
			Data []struct {
				Licence string
				Update  struct {
					From, URL, Error string
					Checked, Next    time.Time
				}
			}
		}
	}
	eventually(t, "the status says that all is well again", func() bool {
		if err := json.Unmarshal([]byte(s.get("/whence/status")), &status); err != nil {
			t.Fatal(err)
		}
		u := status.Chains["default"][0].Data[0].Update
		return u.Error == "" && u.From == "127.0.0.1" && u.URL == p.URL+"/own.mmdb.gz?…" && !u.Checked.IsZero() && u.Next.After(u.Checked)
	})
	metrics := s.get("/metrics")
	for _, want := range []string{
		`caddy_whence_updates_total{from="127.0.0.1",outcome="updated"} 2`, `caddy_whence_updates_total{from="127.0.0.1",outcome="refused"}`,
		`caddy_whence_update_last_success_timestamp_seconds{file="`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	state, err := os.ReadFile(s.path("data/.whence-own.mmdb.json"))
	if err != nil {
		t.Fatal(err)
	}
	dump := s.get("/config/")
	for what, text := range map[string]string{"log": s.log.String(), "status": s.get("/whence/status"), "configuration": dump, "metrics": metrics,
		"state": string(state)} {
		if strings.Contains(text, originToken) {
			t.Errorf("the token stands in the %s", what)
		}
	}
	if !strings.Contains(dump, "{env.WHENCE_TEST_TOKEN}") {
		t.Errorf("the configuration: %s", dump)
	}
}

// TestUpdateOnce has two processes with one folder: one downloads, and the other takes in what it has put there.
func TestUpdateOnce(t *testing.T) {
	s := newServer(t)
	p := newPublisher(t, s)
	p.offer(database(t, "dbip-country-lite.mmdb"))
	open := p.shut()
	s.write("Other", "{\n\tadmin off\n"+p.options("24h")+"}\n")
	other := new(logLines)
	cmd := s.command("run", "--config", "Other", "--adapter", "caddyfile")
	cmd.Stderr = other
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	s.start(globals(p.options("24h")))
	<-p.at
	open()
	for _, log := range []*logLines{s.log, other} {
		log.wait(t, 1, "database loaded", "own.mmdb")
	}
	// The one that waited for the lock looks what the other did, and does not ask again; by hand, it asks for the checksum only.
	out, err := s.command("whence", "data", "update", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "unchanged") || p.count() != 1 {
		t.Errorf("%d downloads; by hand: %v\n%s", p.count(), err, out)
	}
	// Told to refresh, the server asks now, though it is not due before tomorrow.
	p.offer(database(t, "asn-country-ipv4only.mmdb"))
	resp, err := s.http.Post("http://localhost/whence/refresh/mmdb", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || !strings.Contains(string(b), "country ipv4") || p.count() != 2 {
		t.Errorf("%d downloads after a refresh: %s: %s", p.count(), resp.Status, b)
	}
}

// TestUpdateIANA has the registries come from a mirror: what is compiled in answers until then.
func TestUpdateIANA(t *testing.T) {
	s := newServer(t)
	folder := testenv.Path(t, "iana")
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/mirror/")
		for _, at := range []string{name, "rdap/" + name} {
			if b, err := os.ReadFile(filepath.Join(folder, at)); err == nil {
				w.Write(b)
				return
			}
		}
		if name == "tlds-alpha-by-domain.txt" {
			b, _ := os.ReadFile(filepath.Join(folder, "tlds-alpha-from-root-db-2026-02.txt"))
			fmt.Fprintf(w, "# Version 2026110100\nWHENCE\n%s", b)
			return
		}
		http.NotFound(w, r)
	}))
	defer mirror.Close()
	s.start(globals("\tenrich {\n\t\tiana ./registries {\n\t\t\tupdate " + mirror.URL + "/mirror every 24h\n\t\t}\n\t}\n\twhois {\n\t\tbind 127.0.0.1:0\n\t}"))
	address := s.whois(0)
	if got := ask(t, address, "192.0.2.1"); !strings.Contains(got, "special_purpose: Documentation (TEST-NET-1)") {
		t.Errorf("before: %s", got)
	}
	eventually(t, "the new top-level domain is known", func() bool {
		return strings.Contains(ask(t, address, "www.whence"), "tld_status: delegated")
	})
	eventually(t, "all registries come from the mirror", func() bool {
		return strings.Count(s.get("/whence/status"), `"path":"`+s.path("registries")) == 8
	})
	if got := ask(t, address, "192.0.2.1"); !strings.Contains(got, "special_purpose: Documentation (TEST-NET-1)") {
		t.Errorf("after: %s", got)
	}
}

// TestDataCommand brings files up to date, lists and verifies them by hand.
func TestDataCommand(t *testing.T) {
	s := newServer(t)
	p := newPublisher(t, s)
	first, second := database(t, "asn-country-ipv4only.mmdb"), database(t, "dbip-country-lite.mmdb")
	s.write("Caddyfile", globals(strings.Replace(p.options("24h"), "\tenrich {\n", "\tenrich {\n\t\trank ./data/names.csv\n\t\tregistration\n", 1)))
	run := func(wantErr string, args ...string) string {
		t.Helper()
		var stderr strings.Builder
		cmd := s.command(append([]string{"whence", "data"}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if (err == nil) != (wantErr == "") || !strings.Contains(stderr.String(), wantErr) {
			t.Errorf("caddy whence data %q: %v\n%s", args, err, stderr.String())
		}
		if text := string(out) + stderr.String(); strings.Contains(text, originToken) {
			t.Errorf("caddy whence data %q shows the token: %s", args, text)
		}
		return string(out)
	}
	run("own.mmdb: no database there yet", "verify")
	p.offer(first, strings.Repeat("0", 64))
	if got := run("1 of 1 files not brought up to date", "update"); !strings.Contains(got, "refused: its SHA-256 is") {
		t.Errorf("update: %s", got)
	}
	p.offer(first)
	if got := run("", "update", "mmdb"); !strings.Contains(got, "updated") {
		t.Errorf("update: %s", got)
	}
	s.write("data/names.csv", "1,example.org\n")
	if got := run("", "verify"); !strings.Contains(got, "good") || strings.Contains(got, "bad") || !strings.Contains(got, "yes") {
		t.Errorf("verify: %s", got)
	}
	p.offer(second)
	if got := run("1 of 1 files", "update", "--format", "csv"); !strings.Contains(got, "refused: it was built 2020") {
		t.Errorf("update to an older one: %s", got)
	}
	if got := run("", "update", "--force", "data/own.mmdb"); !strings.Contains(got, "updated") {
		t.Errorf("update by force: %s", got)
	}
	var files []struct {
		Path, Kind, Type, Licence, Attribution string
		Records                                int
		Update                                 struct{ From, URL string }
	}
	list := run("", "list", "--format", "json")
	if err := json.Unmarshal([]byte(list), &files); err != nil || len(files) < 2 || files[1].Kind != "mmdb" || files[1].Licence != "CC-BY-4.0" ||
		files[1].Update.URL != p.URL+"/own.mmdb.gz?…" || files[1].Records == 0 || files[0].Records != 1 {
		t.Errorf("list: %v\n%s", err, list)
	}
	if got := run("", "list", "mmdb"); !strings.Contains(got, "IP Geolocation by DB-IP") || strings.Contains(got, "names.csv") {
		t.Errorf("list: %s", got)
	}
	run("no source and no file of the configuration is nobody", "list", "nobody")
	if got := run("", "list", "--presets", "--format", "csv"); !strings.Contains(got, "ipinfo_lite,mmdb,") {
		t.Errorf("presets: %s", got)
	}

	// A bit that falls over where nothing notices is told by the checksum; what is broken by the file itself.
	path := s.path("data/own.mmdb")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	i := bytes.Index(b, []byte("Deutschland"))
	b[i] = 'd'
	s.write("data/own.mmdb", string(b))
	os.Chtimes(path, info.ModTime(), info.ModTime())
	if got := run("data/own.mmdb: its SHA-256 is", "verify"); !strings.Contains(got, "bad") {
		t.Errorf("verify: %s", got)
	}
	s.write("data/own.mmdb", string(b[:len(b)/2]))
	run("data/own.mmdb: ", "verify", "mmdb")
}
