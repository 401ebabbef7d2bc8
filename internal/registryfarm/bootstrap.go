package registryfarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"sync"
	"time"
)

// BootstrapFiles are the files of RFC 9224 and RFC 8521.
var BootstrapFiles = [...]string{"dns.json", "ipv4.json", "ipv6.json", "asn.json", "object-tags.json"}

// Fault is what is wrong with a bootstrap file.
type Fault uint8

// The faults.
const (
	Sound      Fault = iota // nothing is
	Fails                   // HTTP 500
	Garbled                 // JSON that breaks off in the middle
	WebPage                 // HTTP 200 with a web page
	Shrunk                  // all entries but one are missing
	NewVersion              // "version": "2.0", which nobody knows yet
	Hangs                   // no answer
)

// Fetches are how often a bootstrap file was asked for.
type Fetches struct {
	All, NotModified int
}

// bootstrap serves the files.
type bootstrap struct {
	farm *Farm
	url  string

	mu        sync.Mutex
	published time.Time
	files     map[string]*bootstrapFile
}

type bootstrapFile struct {
	fault   Fault
	whole   []byte
	shrunk  []byte
	newer   []byte // of another version
	fetches Fetches
}

var firstPublication = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

func newBootstrap(f *Farm, url string) *bootstrap {
	b := &bootstrap{farm: f, url: url, files: make(map[string]*bootstrapFile)}
	for _, name := range BootstrapFiles {
		b.files[name] = new(bootstrapFile)
	}
	return b
}

// BootstrapURL is the folder with the bootstrap files. It ends in a slash.
func (f *Farm) BootstrapURL() string { return f.bootstrap.url }

// BreakBootstrap has a fault in the files that are named, in all of them without names. Sound mends them.
func (f *Farm) BreakBootstrap(fault Fault, files ...string) {
	if len(files) == 0 {
		files = BootstrapFiles[:]
	}
	f.bootstrap.mu.Lock()
	defer f.bootstrap.mu.Unlock()
	for _, name := range files {
		if file := f.bootstrap.files[name]; file != nil {
			file.fault = fault
		}
	}
}

// Republish gives the files another time of publication (whole seconds), and so another ETag and Last-Modified.
func (f *Farm) Republish(at time.Time) error { return f.bootstrap.publish(at) }

// BootstrapFetches is how often a file was asked for.
func (f *Farm) BootstrapFetches(file string) Fetches {
	f.bootstrap.mu.Lock()
	defer f.bootstrap.mu.Unlock()
	if file := f.bootstrap.files[file]; file != nil {
		return file.fetches
	}
	return Fetches{}
}

// service is an entry: what is asked about, and who answers. Object tags have a contact before both.
type service [][]string

// services are the entries of a file. One without any is refused by careful clients, so it has one about what nobody asks.
func (b *bootstrap) services(file string) []service {
	var list []service
	for _, r := range b.farm.registries {
		if !r.RDAP || r.Hidden {
			continue
		}
		var keys []string
		switch file {
		case "dns.json":
			keys = r.Suffixes
		case "ipv4.json":
			keys = prefixes(r.Networks, netip.Addr.Is4)
		case "ipv6.json":
			keys = prefixes(r.Networks, netip.Addr.Is6)
		case "asn.json":
			for _, as := range r.AS {
				keys = append(keys, fmt.Sprintf("%d-%d", as[0], as[1]))
			}
		case "object-tags.json":
			keys = r.Tags
		}
		if len(keys) > 0 {
			list = append(list, entry(file, keys, r.base))
		}
	}
	if len(list) == 0 {
		filler := map[string]string{"dns.json": "invalid", "ipv4.json": "255.255.255.255/32", "ipv6.json": "100::/64",
			"asn.json": "4294967295-4294967295", "object-tags.json": "NOBODY"}
		list = []service{entry(file, []string{filler[file]}, b.url)}
	}
	return list
}

func entry(file string, keys []string, url string) service {
	if file == "object-tags.json" {
		return service{{"farm@example.org"}, keys, {url}}
	}
	return service{keys, {url}}
}

func prefixes(list []netip.Prefix, want func(netip.Addr) bool) (keys []string) {
	for _, p := range list {
		if want(p.Addr()) {
			keys = append(keys, p.String())
		}
	}
	return keys
}

// publish renders the files.
func (b *bootstrap) publish(at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published = at.UTC().Truncate(time.Second)
	for name, file := range b.files {
		list := b.services(name)
		for _, to := range [...]struct {
			body    *[]byte
			version string
			list    []service
		}{{&file.whole, "1.0", list}, {&file.shrunk, "1.0", list[:1]}, {&file.newer, "2.0", list}} {
			var err error
			*to.body, err = json.Marshal(map[string]any{"version": to.version, "publication": b.published.Format(time.RFC3339),
				"description": "RDAP bootstrap file of the registry farm", "services": to.list})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// serve answers for a file, conditionally where that is asked for (RFC 9110 §13).
func (b *bootstrap) serve(w http.ResponseWriter, req *http.Request) {
	name := path.Base(req.URL.Path)
	b.mu.Lock()
	file := b.files[name]
	if file == nil || path.Dir(req.URL.Path) != "/rdap-bootstrap" {
		b.mu.Unlock()
		http.NotFound(w, req)
		return
	}
	file.fetches.All++
	fault, body, published := file.fault, file.whole, b.published
	switch fault {
	case Shrunk:
		body = file.shrunk
	case NewVersion:
		body = file.newer
	case Garbled:
		body = body[:len(body)/2]
	case WebPage:
		body = []byte("<!DOCTYPE html><html><body>We are doing some maintenance.</body></html>")
	}
	b.mu.Unlock()
	switch fault {
	case Fails:
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	case Hangs:
		b.farm.hang(req.Context().Done())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=86400")
	h.Set("Etag", `"`+strconv.FormatUint(hash(string(body)), 36)+`"`)
	if fault != Sound { // nothing else would tell a client by its date that this is another file
		published = published.Add(time.Second)
	}
	counted := &statusWriter{ResponseWriter: w}
	http.ServeContent(counted, req, name, published, bytes.NewReader(body))
	if counted.status == http.StatusNotModified {
		b.mu.Lock()
		file.fetches.NotModified++
		b.mu.Unlock()
	}
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
