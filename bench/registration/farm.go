//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/internal/registryfarm"
)

// The farm is a child of this program, so that its processor time is told from the server's and from the client's. It is asked over
// HTTP what it has and what it was asked.

const (
	// slow is the top-level domain whose registry takes slowLatency for an answer: time for a crowd to gather.
	slow        = "slow"
	slowLatency = 2 * time.Second
	// real is a top-level domain that there is: format C tells nothing of names in others.
	real = "org"
)

// setup is what the configuration of a server needs to know of the farm.
type setup struct {
	Bootstrap string            // URL of the folder with the bootstrap files
	Whois     map[string]string // the WHOIS server of each top-level domain that has no RDAP
}

// counts are what the farm was asked since it last forgot that.
type counts struct {
	registryfarm.Counts
	Names int // that were asked about
	Most  int // queries about one of them
}

// grow are the registries of the farm: n of t000, t001, … with RDAP on TLS and HTTP/2, and as many of w000, w001, … with WHOIS alone.
func grow(n int, latency time.Duration) []registryfarm.Registry {
	all := []registryfarm.Registry{
		{Name: slow, Suffixes: []string{slow}, RDAP: true, TLS: true, Latency: slowLatency},
		{Name: real, Suffixes: []string{real}, RDAP: true, TLS: true, Latency: latency},
	}
	for i := range n {
		all = append(all,
			registryfarm.Registry{Name: "rdap" + tld("t", i), Suffixes: []string{tld("t", i)}, RDAP: true, TLS: true, Latency: latency},
			registryfarm.Registry{Name: "whois" + tld("w", i), Suffixes: []string{tld("w", i)}, WHOIS: true, Latency: latency})
	}
	return all
}

func tld(kind string, i int) string { return fmt.Sprintf("%s%03d", kind, i) }

// authority is the file in the farm's folder with the certificate that its servers' are signed by.
const authority = "farm.pem"

// serveFarm is the child. It ends with this program.
func serveFarm(dir string, registries int, latency time.Duration) error {
	farm, err := registryfarm.Start(registryfarm.Options{Registries: grow(registries, latency), TLS: true})
	if err != nil {
		return err
	}
	if err := farm.WriteCA(filepath.Join(dir, authority)); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	return http.Serve(ln, control(farm, setupOf(farm, registries)))
}

func setupOf(f *registryfarm.Farm, registries int) setup {
	s := setup{Bootstrap: f.BootstrapURL(), Whois: make(map[string]string)}
	for i := range registries {
		s.Whois[tld("w", i)] = f.WHOISAddr("whois" + tld("w", i))
	}
	return s
}

// control answers this program's questions.
func control(f *registryfarm.Farm, has setup) http.Handler {
	mux := http.NewServeMux()
	tell := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			log.Print(err)
		}
	}
	mux.HandleFunc("GET /setup", func(w http.ResponseWriter, _ *http.Request) { tell(w, has) })
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		c := counts{Counts: f.Total()}
		asked, _ := f.AllQueries()
		c.Names = len(asked)
		for _, n := range asked {
			c.Most = max(c.Most, n)
		}
		tell(w, c)
	})
	mux.HandleFunc("POST /forget", func(http.ResponseWriter, *http.Request) { f.Forget() })
	return mux
}

// farm is the farm as this program has it.
type farm struct {
	*child.Server
	setup
	ca string
}

// startFarm starts the farm and asks what it has.
func startFarm(s *child.Stand, registries int, latency time.Duration) (*farm, error) {
	p, err := s.Self("farm", "-farm", s.Dir, "-registries", fmt.Sprint(registries), "-latency", latency.String())
	if err != nil {
		return nil, err
	}
	f := &farm{Server: p, ca: filepath.Join(s.Dir, authority)}
	return f, f.ask(http.MethodGet, "/setup", &f.setup)
}

func (f *farm) counts() (c counts, err error) { return c, f.ask(http.MethodGet, "/counts", &c) }

func (f *farm) forget() error { return f.ask(http.MethodPost, "/forget", nil) }

func (f *farm) ask(method, path string, into any) error {
	u := url.URL{Scheme: "http", Host: f.Addr.String(), Path: path}
	return request(http.DefaultClient, method, u.String(), into)
}

// request makes a request and decodes the answer.
func request(client *http.Client, method, url string, into any) error {
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, bytes.TrimSpace(body))
	}
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// block is the block of the source in a Caddyfile: it asks the farm, as often as it likes.
func (f *farm) block(memory, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\t\tregistration {\n\t\t\tregistries %s\n\t\t\trefer off\n\t\t\tlimit default off\n\t\t\tallow_networks 127.0.0.0/8 ::1\n"+
		"\t\t\ttrusted_ca %s\n\t\t\twait 60s\n\t\t\tcache_ttl 24h\n\t\t\tmemory %s\n", f.Bootstrap, f.ca, memory)
	for _, suffix := range slices.Sorted(maps.Keys(f.Whois)) {
		fmt.Fprintf(&b, "\t\t\twhois %s %s\n", suffix, f.Whois[suffix])
	}
	b.WriteString(more + "\t\t}\n")
	return b.String()
}
