package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// visitor asks at a door, again and again.
type visitor struct {
	door  string
	ask   func(n int) error // makes one request, and holds its answer against what it must be
	leave func()            // closes its connection
}

// visitors are some for each door of the house.
func (h *house) visitors() []visitor {
	admin := h.path("admin.sock")
	vs := []visitor{
		h.whoisVisitor(), h.whoisBulkVisitor(),
		h.httpVisitor(doh(), "tcp", h.site, true),
		h.httpVisitor(getMetrics, "unix", admin, false), h.httpVisitor(getStatus, "unix", admin, false),
		h.httpVisitor(getLookup, "unix", admin, false),
	}
	for _, keep := range []bool{true, false} {
		for _, network := range []string{"udp", "tcp", "tcp-tls"} {
			vs = append(vs, h.dnsVisitor(network, keep))
		}
		for _, r := range []request{getDomain, postBulk, getEnriched} {
			vs = append(vs, h.httpVisitor(r, "tcp", h.site, keep))
		}
	}
	return vs
}

// whoisVisitor asks one query a connection.
func (h *house) whoisVisitor() visitor {
	address := h.whois(0)
	return visitor{"whois", func(int) error {
		answer, err := tryAsk(address, "8.8.8.8")
		return wrong(err, answer, "asn: AS15169", "configuration ")
	}, func() {}}
}

const bulkLines = 100

// whoisBulkVisitor asks a hundred lines a connection.
func (h *house) whoisBulkVisitor() visitor {
	address, lines := h.whois(0), strings.Repeat("8.8.8.8\r\n", bulkLines)
	return visitor{"whois bulk", func(int) error {
		answer, err := tryAsk(address, "begin\r\n"+lines+"end")
		if n := strings.Count(answer, "\n15169 "); err == nil && n != bulkLines {
			err = fmt.Errorf("%d of %d lines in %.200q", n, bulkLines, answer)
		}
		return err
	}, func() {}}
}

// dnsVisitor asks over connections of the network, one for all queries or one each.
func (h *house) dnsVisitor(network string, keep bool) visitor {
	address := h.dns(strings.TrimPrefix(network, "tcp-"))
	c := &dns.Client{Net: network, Timeout: patience, TLSConfig: h.tls()}
	var conn *dns.Conn
	leave := func() {
		if conn != nil {
			conn.Close()
		}
		conn = nil
	}
	return visitor{"dns over " + network + kept(keep), func(n int) (err error) {
		if conn == nil {
			if conn, err = c.Dial(address); err != nil {
				conn = nil
				return err
			}
		}
		reply, _, err := c.ExchangeWithConn(new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.org.", n%50), dns.TypeA), conn)
		if err == nil && len(reply.Answer) != 1 {
			err = fmt.Errorf("answered %v", reply)
		}
		if !keep || err != nil {
			leave()
		}
		return err
	}, leave}
}

func kept(keep bool) string {
	if keep {
		return ", kept connections"
	}
	return ", new connections"
}

// request is what is sent over HTTP, and what its answer has.
type request struct {
	name, text, want string
	lines            int // of the answer, if they count
}

func get(name, path, want string) request {
	return request{name: name, text: "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n", want: want}
}

var (
	getDomain   = get("domain_stats", "/www.example.org", `"seen_by_you":`)
	getEnriched = get("enrich", "/enriched?ip=8.8.8.8", "AS15169 US")
	getMetrics  = get("admin metrics", "/metrics", "caddy_whence_whois_bulk_lines_total")
	getStatus   = get("admin status", "/whence/status", `"kind":"mmdb"`)
	getLookup   = get("admin lookup", "/whence/lookup/8.8.8.8", "AS15169")
	postBulk    = request{"bulk", fmt.Sprintf("POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		8*bulkLines, strings.Repeat("8.8.8.8\n", bulkLines)), "AS15169", bulkLines}
)

// doh is a question over HTTPS without TLS (RFC 8484).
func doh() request {
	q := new(dns.Msg).SetQuestion("doh.example.org.", dns.TypeA)
	q.Id = 0
	b, err := q.Pack()
	if err != nil {
		panic(err)
	}
	return get("dns over https", "/dns-query?dns="+base64.RawURLEncoding.EncodeToString(b), "\x03doh\x07example\x03org")
}

// errCut is a connection that was refused, or closed before anything of an answer came: the client may ask again.
var errCut = errors.New("no answer was begun")

// tries is how often a client asks whose connections are cut.
const tries = 5

// httpVisitor asks over HTTP/1.1 and, as HTTP's clients do, asks again on a new connection where one was closed before an answer; it
// says so if that was needed. That a connection's last answer tells that it is the last is no loss.
func (h *house) httpVisitor(r request, network, address string, keep bool) visitor {
	var conn net.Conn
	var in *bufio.Reader
	leave := func() {
		if conn != nil {
			conn.Close()
		}
		conn = nil
	}
	once := func() (err error) {
		if conn == nil {
			if conn, err = net.DialTimeout(network, address, patience); err != nil {
				conn = nil
				return fmt.Errorf("%w: %w", errCut, err)
			}
			in = bufio.NewReader(conn)
		}
		conn.SetDeadline(time.Now().Add(patience))
		if _, err = io.WriteString(conn, r.text); err == nil {
			_, err = in.Peek(1)
		}
		if err != nil {
			leave()
			return fmt.Errorf("%w: %w", errCut, err)
		}
		last, err := r.read(in)
		if !keep || last || err != nil {
			leave()
		}
		return err
	}
	return visitor{r.name + " over " + network + kept(keep), func(int) error {
		cut := once()
		if !errors.Is(cut, errCut) {
			return cut
		}
		for range tries - 1 {
			switch err := once(); {
			case err == nil:
				return cut
			case !errors.Is(err, errCut):
				return err
			}
		}
		return fmt.Errorf("asked %d times: %v", tries, cut)
	}, leave}
}

// read reads the answer, and says whether it is the connection's last.
func (r *request) read(in *bufio.Reader) (last bool, err error) {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return true, err
	}
	b, err := io.ReadAll(resp.Body)
	answer := string(b)
	switch n := strings.Count(answer, "\n"); {
	case err == nil && resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("%s: %.300q", resp.Status, answer)
	case err == nil && r.lines > 0 && n != r.lines:
		err = fmt.Errorf("%d of %d lines in %.200q", n, r.lines, answer)
	}
	return resp.Close, wrong(err, answer, r.want)
}

// wrong is err, or that the answer lacks one of the words.
func wrong(err error, answer string, words ...string) error {
	for _, w := range words {
		if err == nil && !strings.Contains(answer, w) {
			err = fmt.Errorf("no %q in the answer %.300q", w, answer)
		}
	}
	return err
}

// tally is what the visitors of a door have seen.
type tally struct {
	asked  atomic.Int64
	cut    atomic.Int64           // of them, those that had to be made again, with errCut
	failed atomic.Int64           // those that ended otherwise than they should
	first  atomic.Pointer[string] // of those
}

// crowd is visitors at work.
type crowd struct {
	visitors []visitor
	doors    map[string]*tally
	stop     atomic.Bool
	working  sync.WaitGroup
}

func newCrowd(visitors []visitor) *crowd {
	c := &crowd{visitors: visitors, doors: make(map[string]*tally)}
	for _, v := range visitors {
		c.doors[v.door] = new(tally)
	}
	return c
}

// begin has them ask until rest.
func (c *crowd) begin() {
	c.stop.Store(false)
	for _, v := range c.visitors {
		seen := c.doors[v.door]
		c.working.Go(func() {
			defer v.leave()
			for n := 0; !c.stop.Load(); n++ {
				seen.note(v.ask(n))
			}
		})
	}
}

func (t *tally) note(err error) {
	t.asked.Add(1)
	if err == nil {
		return
	}
	if errors.Is(err, errCut) {
		t.cut.Add(1)
		return
	}
	t.failed.Add(1)
	text := err.Error()
	t.first.CompareAndSwap(nil, &text)
}

// rest has them finish, and close their connections.
func (c *crowd) rest() {
	c.stop.Store(true)
	c.working.Wait()
}

// least is how often the door was asked that was asked least.
func (c *crowd) least() int64 {
	least := int64(1 << 62)
	for _, seen := range c.doors {
		least = min(least, seen.asked.Load())
	}
	return least
}
