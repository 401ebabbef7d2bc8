package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/registryfarm"
)

// admin asks the admin endpoint and returns the status and the body.
func (s *server) admin(method, path, body string) (int, string) {
	s.t.Helper()
	var err error
	for range 5 { // Caddy replaces its admin socket in a reload
		req, _ := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		var resp *http.Response
		if resp, err = s.http.Do(req); err != nil {
			continue
		}
		defer resp.Body.Close()
		var b []byte
		if b, err = io.ReadAll(resp.Body); err == nil {
			return resp.StatusCode, string(b)
		}
	}
	s.t.Fatal(err)
	return 0, ""
}

// wants asks the admin endpoint and wants that status, and all of the words in the body.
func (s *server) wants(status int, method, path, body string, words ...string) string {
	s.t.Helper()
	code, got := s.admin(method, path, body)
	for _, word := range words {
		if !strings.Contains(got, word) {
			s.t.Errorf("%s %s: no %q in %.2000s", method, path, word, got)
		}
	}
	if code != status {
		s.t.Errorf("%s %s: %d, want %d: %.500s", method, path, code, status, got)
	}
	return got
}

// startAdmin starts a server with a registry, a list of names and records.
func startAdmin(t *testing.T, options ...string) (*server, *registryfarm.Farm) {
	t.Helper()
	registries := []registryfarm.Registry{{Name: "one", Suffixes: []string{"com"}, RDAP: true}}
	f := registryfarm.New(t, registryfarm.Options{Registries: registries})
	s := newServer(t)
	var top strings.Builder
	for i := range 60 {
		fmt.Fprintf(&top, "%d,tulip%d.com\n", i+1, i)
	}
	s.write("top.csv", top.String())
	s.write("records/printer.example", "third floor\n")
	config := withRegistries(s, f, registries, options...)
	config = strings.Replace(config, "\t\trank ./top.csv\n", "\t\tiana\n\t\trecords ./records\n\t\trank ./top.csv\n\t\tsightings\n", 1)
	s.start(config)
	s.log.wait(t, 1, `"file":"object-tags.json"`)
	return s, f
}

// TestAdminAPI asks every route, also wrongly, and again after a reload took away what it is about.
func TestAdminAPI(t *testing.T) {
	s, f := startAdmin(t)

	t.Run("status and health", func(t *testing.T) {
		s.t = t
		s.wants(200, "GET", "/whence/status", "", `{"healthy":true,"problems":[]`, `"chains":{"default":[{"name":"iana"`, `"store":{"cache":{`)
		s.wants(200, "HEAD", "/whence/health", "")
		s.wants(200, "GET", "/whence/health?max_age=1h", "", `{"healthy":true,"problems":[]}`)
		old := time.Now().AddDate(0, 0, -40)
		if err := os.Chtimes(s.path("top.csv"), old, old); err != nil {
			t.Fatal(err)
		}
		s.wants(200, "POST", "/whence/refresh/rank", "", `"name":"rank"`, `"generation":2`)
		s.wants(503, "GET", "/whence/health?max_age=30d", "", `{"healthy":false,"problems":[{"level":"error","where":"default/rank","text":"top.csv: made `, `40 days ago"}]}`)
		s.wants(400, "GET", "/whence/status?max_age=old", "", "want a duration")
		s.wants(405, "POST", "/whence/status", "", `{"error":"this route takes GET, HEAD, OPTIONS"}`)
		s.wants(404, "GET", "/whence/nowhere", "", "there is no /whence/nowhere")
		s.wants(404, "GET", "/whence/dotforward", "", "no dotforward")
	})

	t.Run("lookup", func(t *testing.T) {
		s.t = t
		s.wants(200, "GET", "/whence/lookup/www.tulip1.com?wait=20s", "", `{"subject":"www.tulip1.com","kind":"domain","registrar":"`, `"rank":2,`)
		s.wants(200, "GET", "/whence/lookup/tulip1.com?raw&wait=0s", "", `"fields":{},"text":"{`)
		s.wants(200, "GET", "/whence/lookup/192.0.2.0/24", "", `"kind":"prefix"`, `"special_purpose":"Documentation (TEST-NET-1)"`)
		s.wants(200, "GET", "/whence/lookup/https:%2f%2fprinter.example%2fx", "", `"text":"third floor`)
		s.wants(200, "GET", "/whence/lookup/tulip1.com?form=whois", "", "Domain Name: tulip1.com\n", "dbstatus: ok - data found\n")
		s.wants(200, "GET", "/whence/lookup/tulip1.com?form=aligned", "", "rank:")
		s.wants(400, "GET", "/whence/lookup/010.0.0.1", "", "could be octal")
		s.wants(400, "GET", "/whence/lookup/", "", "want something like /whence/lookup/192.0.2.1")
		s.wants(400, "GET", "/whence/lookup/tulip1.com?wait=1h", "", "at most 1m0s")
		s.wants(400, "GET", "/whence/lookup/tulip1.com?from=xml", "", `no parameter is named \"from\"`)
		s.wants(400, "GET", "/whence/lookup/tulip1.com?form=xml", "", "there are: json, whois, lines")
		s.wants(404, "GET", "/whence/lookup/tulip1.com?chain=lan", "", `no enrichment chain is named \"lan\"; there are: default`)
		got := s.wants(200, "POST", "/whence/lookup?wait=20s", "tulip2.com\n\n 1.2.3.04 \nprinter.example\n", `{"subject":"1.2.3.04","error":"`)
		if lines := strings.Split(got, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], `{"subject":"tulip2.com","kind":"domain","registrar":"`) {
			t.Errorf("a list: %s", got)
		}
		resp, err := s.http.Post("http://localhost/whence/lookup", "text/plain", strings.NewReader("192.0.2.1\nprinter.example\n"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n := resp.Trailer.Get("Whence-Not-Found"); n != "1" {
			t.Errorf("trailer %q, want 1", n)
		}
		s.wants(413, "POST", "/whence/lookup", strings.Repeat("192.0.2.1\n", 110_000), "more than 1048576 bytes")
		if seen := s.get("/whence/status"); !strings.Contains(seen, `"ledger":{"names":0,`) {
			t.Errorf("asking was seeing: %s", seen)
		}
	})

	t.Run("store", func(t *testing.T) {
		s.t = t
		s.wants(200, "POST", "/whence/import?form=list&scope=dns", "a.com\nb.com\nc.com\n", `"Added":3`)
		s.wants(200, "GET", "/whence/store", "", `"entries":2,"expired":0,`, `.raw"`, `"scopes":{"dns":3}`)
		bucket := s.bucket()
		before := f.Counts("one").Queries
		s.wants(200, "DELETE", "/whence/cache/registration?name=www.tulip1.com", "", `{"removed":1,"names":["tulip1.com"]}`)
		s.wants(200, "GET", "/whence/lookup/tulip1.com?wait=20s", "", `"registrar":"`)
		s.wants(200, "DELETE", "/whence/cache/"+bucket+"?prefix=tulip", "", `{"removed":2}`)
		s.wants(200, "GET", "/whence/lookup/tulip2.com?wait=20s", "", `"registrar":"`)
		s.wants(200, "DELETE", "/whence/cache/"+bucket+"?all=true", "", `{"removed":1}`)
		s.wants(200, "DELETE", "/whence/cache/"+bucket+"?all=true", "", `{"removed":0}`)
		if n := f.Counts("one").Queries - before; n != 2 {
			t.Errorf("the registry was asked %d times, want 2", n)
		}
		s.wants(200, "DELETE", "/whence/cache/bootstrap?prefix=nothing", "", `{"removed":0}`)
		s.wants(400, "DELETE", "/whence/cache/registration", "", "say what to forget")
		s.wants(400, "DELETE", "/whence/cache/"+bucket+"?prefx=a&all=true", "", `no parameter is named \"prefx\"; there are: name, prefix, all`)
		s.wants(400, "DELETE", "/whence/cache/"+bucket+"?name=com", "", "no registry is asked about it")
		s.wants(400, "DELETE", "/whence/cache/?all=true", "", "want something like /whence/cache/registration?name=example.org")
		s.wants(404, "DELETE", "/whence/cache/registraton?all=true", "", `the cache has no bucket \"registraton\"; there are: bootstrap`)
		s.wants(404, "DELETE", "/whence/ledger/stats?all=true", "", `no names in scope \"stats\"; there are: dns`)
		s.wants(200, "DELETE", "/whence/ledger/dns?name=a.com&name=never.com", "", `"removed":1`)
		s.wants(200, "DELETE", "/whence/ledger/dns?prefix=c.", "", `"removed":1`)
		s.wants(200, "DELETE", "/whence/ledger/dns?all=true", "", `"removed":1`)
	})

	t.Run("refresh", func(t *testing.T) {
		s.t = t
		before := f.BootstrapFetches("dns.json")
		s.wants(200, "POST", "/whence/refresh/registration", "", `"name":"registration"`, `"bootstrap":[{"file":"dns.json"`)
		if after := f.BootstrapFetches("dns.json"); after == before {
			t.Errorf("nothing was fetched: %+v", after)
		}
		s.wants(200, "POST", "/whence/refresh/records?chain=default", "", `"kind":"records"`)
		s.write("top.csv", "\x00\x01")
		s.wants(422, "POST", "/whence/refresh/rank", "", "rank: ", "top.csv: ")
		s.wants(503, "GET", "/whence/health", "", `"where":"default/rank"`)
		s.write("top.csv", "1,tulip1.com\n2,tulip2.com\n3,tulip3.com\n4,tulip4.com\n")
		s.wants(200, "POST", "/whence/refresh/rank?wait=20s", "", `"records":4`)
		s.wants(200, "GET", "/whence/health", "")
		s.wants(400, "POST", "/whence/refresh/sightings", "", "the source sightings has nothing to refresh")
		s.wants(422, "POST", "/whence/refresh/iana", "", "what is compiled in has nothing to refresh")
		s.wants(404, "POST", "/whence/refresh/mmdb", "", `no source of the chain is named \"mmdb\"; there are: iana, records, rank, sightings, registration`)
		s.wants(405, "GET", "/whence/refresh/rank", "", "this route takes OPTIONS, POST")
	})

	t.Run("preload", func(t *testing.T) {
		s.t = t
		finished := func() (p struct{ Done, Names, Failed, Resumed int }) {
			var all []json.RawMessage
			eventually(t, "preloaded", func() bool {
				body := s.get("/whence/preload")
				if json.Unmarshal([]byte(body), &all) != nil || len(all) != 1 || !strings.Contains(body, `"state":"finished"`) {
					return false
				}
				return json.Unmarshal(all[0], &p) == nil
			})
			return p
		}
		s.wants(200, "GET", "/whence/preload", "", "[]\n")
		release := f.Hold("one")
		s.wants(202, "POST", "/whence/preload?top=1000&delay=0s", "", `{"chain":"default","state":"`)
		eventually(t, "it runs", func() bool { return strings.Contains(s.get("/whence/preload"), `"state":"running","names":4,"done":0`) })
		s.wants(409, "POST", "/whence/preload?top=3", "", "a preload is under way already")
		s.wants(200, "DELETE", "/whence/preload", "", `"state":"stopped"`)
		s.wants(404, "DELETE", "/whence/preload", "", "no preload is under way in the chain default")
		release()
		s.wants(202, "POST", "/whence/preload?top=1000&delay=0s", "")
		if p := finished(); p.Done != 4 || p.Names != 4 || p.Failed != 0 {
			t.Errorf("%+v", p)
		}
		s.wants(202, "POST", "/whence/preload?delay=0s", "# ours\n7,tulip1.com\nWWW.tulip9.com\n192.0.2.1\n\n", `"left_out":1`)
		if p := finished(); p.Done != 2 || p.Names != 2 {
			t.Errorf("names of our own: %+v", p)
		}
		s.wants(400, "POST", "/whence/preload", "", "want either top=1000")
		s.wants(400, "POST", "/whence/preload?top=2", "tulip1.com", "want either top=1000")
		s.wants(400, "POST", "/whence/preload?top=many", "", "want a number from 1 to")
	})

	t.Run("after a reload", func(t *testing.T) {
		s.t = t
		if err := s.load(globals("\tenrich {\n\t\tiana\n\t}")); err != nil {
			t.Fatal(err)
		}
		s.wants(200, "GET", "/whence/status", "", `"chains":{"default":[{"name":"iana"`)
		s.wants(404, "GET", "/whence/store", "", "uses no store")
		s.wants(404, "DELETE", "/whence/ledger/dns?all=true", "", "uses no store")
		s.wants(404, "POST", "/whence/preload?top=3", "", "the chain has no source registration")
		s.wants(200, "GET", "/whence/preload", "", "[]\n")
		if err := s.load(globals("")); err != nil {
			t.Fatal(err)
		}
		if got := s.wants(200, "GET", "/whence/status", "", `{"healthy":true,"problems":[]}`); strings.Contains(got, "chains") {
			t.Errorf("of nothing: %s", got)
		}
		s.wants(404, "GET", "/whence/lookup/192.0.2.1", "", "no enrichment chain")
		s.wants(404, "POST", "/whence/refresh/rank", "", "no enrichment chain")
		s.wants(404, "GET", "/whence/export", "", "uses no store")
	})
}

// bucket is the one of the cache that has registrations.
func (s *server) bucket() string {
	s.t.Helper()
	var st struct {
		Cache struct{ Buckets []struct{ Bucket string } }
	}
	if err := json.Unmarshal([]byte(s.get("/whence/store")), &st); err != nil {
		s.t.Fatal(err)
	}
	for _, b := range st.Cache.Buckets {
		if strings.HasPrefix(b.Bucket, "registration") && !strings.Contains(b.Bucket, ".") {
			return b.Bucket
		}
	}
	s.t.Fatalf("no bucket of registrations: %+v", st)
	return ""
}
