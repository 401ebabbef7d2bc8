package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"text/template"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/internal/testenv"
)

// house is a server with every door open, on every source, asking nobody beyond this machine.
type house struct {
	*server
	site  string // address of its site
	roots *x509.CertPool
	facts map[string]any // what its configuration is made of
}

func newHouse(t *testing.T) *house {
	t.Helper()
	db, err := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	// The site's socket is handed down, so that its port is the kernel's choice and stays over reloads.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	h := &house{server: newServer(t), site: ln.Addr().String()}
	h.files = []*os.File{file}
	h.env = []string{"GODEBUG=memprofilerate=16384"} // so that what grows is found
	_, dot, ca := newDoT(t, h.server, "dot.test")
	// Where lists are downloaded from, and events go to.
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, "1,example.net\n")
		}
	}))
	t.Cleanup(outside.Close)
	h.facts = map[string]any{"Database": db, "DoT": dot, "CA": ca, "Dir": h.dir, "Outside": outside.URL}
	h.write("records/AS64500", "as-name: EXAMPLE-AS\n")
	h.write("top.csv", "1,example.com\n2,example.net\n")
	h.write("lists/bad.txt", "||ads.example^\n")
	h.write("hosts.txt", "192.0.2.7 printer.lan\n")
	return h
}

// houseConfig is the house's configuration. Odd ones have other things that outlive a configuration: sources, upstream connections,
// caches, counts of clients, sockets beside those that visitors know.
var houseConfig = template.Must(template.New("").Parse(`{
	admin unix/{{.Dir}}/admin.sock
	local_certs
	skip_install_trust
	enrich {
		iana
		records ./records
		mmdb {{.Database}}
		rank ./top.csv{{if .Odd}} ./other.csv {
			update {{.Outside}}/other.csv every 1s to ./other.csv {
				allow_networks 127.0.0.0/8
			}
		}{{end}}
		lexical
		sightings
		registration {
			registries off
			{{if .Odd}}memory 1MiB{{end}}
		}
	}
	whois {
		bind 127.0.0.1:0 {{.Taken}}
		footer "configuration {{.N}}"
		max_connections 4096
		max_connections_per_client 4096
	}
	{{if .Odd}}notify {
		on whence_source_refreshed whence_upstream_up whence_first_contact
		webhook {{.Outside}} {
			wait 10ms
			every 1s
		}
	}
	whois {
		bind unix/{{.Dir}}/whois.sock
		listener_wrappers {
			proxy_protocol {
				timeout 1s
			}
		}
	}{{end}}
	dotforward {
		bind 127.0.0.1:0 tls://127.0.0.1:0 {{if .Odd}}udp/127.0.0.2:0 tcp/127.0.0.2:0{{end}}
		names localhost
		limit 1000000/s
		hosts hosts.txt
		block lists/*.txt
		policy unranked {
			unranked
			tag unranked
		}
		{{if .Odd}}cache 8MiB{{end}}
		forward tls://{{.DoT}} dot.test {
			trusted_ca {{.CA}}
			{{if .Odd}}max_conns 1{{end}}
		}
		observe
	}
}
http:// {
	bind fd/3
	log {
		output discard
		format enrich {
			{{if .Odd}}object{{end}}
		}
	}
	@enriched {
		path /enriched
		enrich {query.ip} country_code US
	}
	enrich {query.ip} {
		log
		headers
		observe
	}
	respond @enriched "{enrich.asn} {enrich.country_code}"
	@doors not path /enriched
	handle @doors {
		dns_query
		domain_stats {
			wait 1s
			{{if .Odd}}format b
			new_names 1000000/s{{end}}
		}
	}
}
`))

// config is the n-th configuration.
func (h *house) config(n int) string { return h.configWith(n, "") }

// broken is one that fails when it starts, some of its apps perhaps after they have: it binds an address that is taken.
func (h *house) broken(n int, taken string) string { return h.configWith(n, taken) }

func (h *house) configWith(n int, taken string) string {
	h.t.Helper()
	h.facts["N"], h.facts["Odd"], h.facts["Taken"] = n, n%2 == 1, taken
	var b bytes.Buffer
	if err := houseConfig.Execute(&b, h.facts); err != nil {
		h.t.Fatal(err)
	}
	return b.String()
}

// open starts the server, and waits for what clients need.
func (h *house) open() {
	h.t.Helper()
	h.start(h.config(0))
	eventually(h.t, "the local authority has a certificate", func() bool {
		b, err := os.ReadFile(h.path("caddy/pki/authorities/local/root.crt"))
		h.roots = x509.NewCertPool()
		return err == nil && h.roots.AppendCertsFromPEM(b)
	})
	c := &dns.Client{Net: "tcp-tls", Timeout: patience, TLSConfig: h.tls()}
	eventually(h.t, "an answer over TLS", func() bool {
		reply, _, err := c.Exchange(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), h.dns("tls"))
		return err == nil && len(reply.Answer) == 1
	})
}

func (h *house) tls() *tls.Config {
	return &tls.Config{RootCAs: h.roots, ServerName: "localhost", NextProtos: []string{"dot"}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
}
