//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
	"github.com/whence-project/whence/internal/testenv"
)

func question(t *testing.T, name string, typ uint16, edns bool) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	if edns {
		m.SetEdns0(4096, true)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		typ    uint16
		edns   bool
		answer int
	}{
		{"n000000100.bench.example.org.", dns.TypeA, false, 1},
		{"N000000100.Bench.example.org.", dns.TypeA, true, 1},
		{".", dns.TypeNS, true, 0},
		{"n000000100.bench.example.org.", dns.TypeAAAA, false, 0},
	} {
		query := question(t, tt.name, tt.typ, tt.edns)
		framed := appendAnswer([]byte("before"), query)[len("before"):]
		if n := int(binary.BigEndian.Uint16(framed)); n != len(framed)-2 {
			t.Fatalf("%s: length %d before %d bytes", tt.name, n, len(framed)-2)
		}
		var m dns.Msg
		if err := m.Unpack(framed[2:]); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if !m.Response || m.Rcode != dns.RcodeSuccess || m.Question[0].Name != tt.name || len(m.Answer) != tt.answer ||
			len(m.Ns) != 1-tt.answer || (m.IsEdns0() != nil) != tt.edns {
			t.Errorf("%s: %v", tt.name, &m)
		}
		if tt.answer == 1 && m.Answer[0].(*dns.A).A.String() != "10.49.62.199" {
			t.Errorf("%s: %v", tt.name, m.Answer)
		}
	}
	query := question(t, "example.org.", dns.TypeA, false)
	for n := range len(query) {
		if out := appendAnswer(nil, query[:n]); len(out) != 0 {
			t.Errorf("the first %d bytes of a query were answered % x", n, out)
		}
	}
}

func TestUpstream(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert, err := certify(ca)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	var u upstream
	control := httptest.NewServer(u.control())
	defer control.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			go u.serve(c.(*tls.Conn))
		}
	}()
	addr := control.Listener.Addr().(*net.TCPAddr).AddrPort()
	f := &forwarder{upstream: &child.Server{Addr: addr}}
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: upstreamName})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	query := question(t, "n000000100.bench.example.org.", dns.TypeA, false)
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	ask := func(n int) {
		t.Helper()
		if _, err := c.Write(bytes.Repeat(framed, n)); err != nil {
			t.Fatal(err)
		}
		want := appendAnswer(nil, query)
		got := make([]byte, len(want)*n)
		if _, err := io.ReadFull(bufio.NewReader(c), got); err != nil || !bytes.Equal(got, bytes.Repeat(want, n)) {
			t.Fatalf("%v, % x", err, got)
		}
	}
	ask(3)
	s, err := f.seen()
	if err != nil || s.Handshakes != 1 || s.Connections != 1 || s.Queries != 3 || s.Held != 0 {
		t.Errorf("%v, seen %+v", err, s)
	}
	const delay = 20 * time.Millisecond
	if err := f.reset(delay); err != nil {
		t.Fatal(err)
	}
	ask(2)
	s, err = f.seen()
	if err != nil || s.Handshakes != 0 || s.Connections != 1 || s.Queries != 2 || s.Held < float64(delay.Microseconds()) {
		t.Errorf("%v, seen %+v", err, s)
	}
}

// The generator tells right answers from wrong ones, failures and silence.
func TestLoad(t *testing.T) {
	testenv.Program(t, "gcc", "gcc")
	stand := &child.Stand{Dir: t.TempDir()}
	program, err := compile(stand, "load.c", "-lm", "-Wall", "-Wextra", "-Werror")
	if err != nil {
		t.Fatal(err)
	}
	g := generator{program: program, next: 1000}
	var asked []string
	for _, tt := range []struct {
		what  string
		reply func(n int, query []byte) []byte
		want  outcome
	}{
		{"right", func(_ int, q []byte) []byte { return appendAnswer(nil, q)[2:] }, outcome{Answered: 100, Right: 100}},
		{"another address", func(_ int, q []byte) []byte { a := appendAnswer(nil, q); a[len(a)-1]++; return a[2:] },
			outcome{Answered: 100, Wrong: 100}},
		{"another question", func(_ int, q []byte) []byte { a := appendAnswer(nil, q)[2:]; a[14]++; return a }, outcome{Answered: 100, Wrong: 100}},
		{"no record", func(_ int, q []byte) []byte { a := bytes.Clone(q); a[2] |= 0x80; return a }, outcome{Answered: 100, Wrong: 100}},
		{"another ID", func(_ int, q []byte) []byte { a := appendAnswer(nil, q)[2:]; a[0] ^= 0x80; return a }, outcome{Lost: 100}},
		{"SERVFAIL", func(_ int, q []byte) []byte { a := bytes.Clone(q); a[3] |= 2; return a }, outcome{Answered: 100, Failed: 100}},
		{"every tenth lost", func(n int, q []byte) []byte {
			if n%10 == 0 {
				return nil
			}
			return appendAnswer(nil, q)[2:]
		}, outcome{Answered: 90, Right: 90, Lost: 10}},
	} {
		addr, stop := serveUDP(t, func(n int, q []byte) []byte {
			asked = append(asked, string(q[12:]))
			return tt.reply(n, q)
		})
		o, err := g.send(addr, load{kind: "miss", count: 100, clients: 4, window: 5, batch: 5, timeout: 200 * time.Millisecond})
		stop()
		got := outcome{Answered: o.Answered, Right: o.Right, Failed: o.Failed, Wrong: o.Wrong, Lost: o.Lost}
		if err != nil || got != tt.want || o.Sent != 100 || (o.Right > 0) != (o.Mean > 0 && o.P50 > 0 && o.P99 >= o.P50) {
			t.Errorf("%s: %v, %+v", tt.what, err, o)
		}
	}
	slices.Sort(asked)
	if n := len(slices.Compact(asked)); n != 700 || g.next != 1700 {
		t.Errorf("%d names, and the next is %d: every name is to be asked for once", n, g.next)
	}
}

// serveUDP answers queries on loopback, the first being 0.
func serveUDP(t *testing.T, reply func(n int, query []byte) []byte) (netip.AddrPort, func()) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for n := 0; ; n++ {
			size, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if a := reply(n, buf[:size]); a != nil {
				_, _ = c.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), func() { c.Close(); <-done }
}

func TestConfigurations(t *testing.T) {
	set := setting{Port: 1053, Upstream: netip.MustParseAddrPort("127.0.0.1:853"), Name: upstreamName, CA: "/ca.pem", Dir: "/dir"}
	for _, name := range serverNames[1:] {
		var out strings.Builder
		if err := template.Must(template.ParseFS(peers, "peers/"+name+".conf")).Execute(&out, set); err != nil {
			t.Error(err)
		}
		for _, part := range []string{"1053", "853", upstreamName, "/ca.pem"} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: no %s in\n%s", name, part, out.String())
			}
		}
	}
}

func TestChoose(t *testing.T) {
	for list, want := range map[string]string{"": "a b c", "b": "b", "c,a": "c a", "d": "", "a,": ""} {
		if got, ok := choose(list, []string{"a", "b", "c"}); strings.Join(got, " ") != want || ok != (want != "") {
			t.Errorf("%q: %v, %v", list, got, ok)
		}
	}
}

// samples is a server whose rounds took this much processor time.
func samples(name string, more map[string]float64, cpu ...float64) *contest.Contender {
	c := &contest.Contender{Name: name}
	for _, v := range cpu {
		c.Samples = append(c.Samples, contest.Sample{CPU: v, More: more})
	}
	return c
}

func TestBudgets(t *testing.T) {
	var r results
	r.add("W1s", []*contest.Contender{samples("dnsdist", nil, 4, 8, 4), samples("whence", nil, 3, 6, 5)})
	r.add("W2", []*contest.Contender{
		samples("kresd", nil, 20, 20, 20), samples("dnsdist", nil, 10, 10, 10),
		samples("coredns", map[string]float64{resident: 100}, 50, 50, 50),
		samples("whence", map[string]float64{resident: 120}, 7, 7, 7),
	})
	r.add("W2r", []*contest.Contender{samples("whence", map[string]float64{added: 500}, 1, 1, 1)})
	r.add("flight", nil)
	r.add("burst", []*contest.Contender{samples("whence", map[string]float64{lost: 1}, 1)})
	var out strings.Builder
	r.writeBudgets(&out)
	want := [][]string{
		{"W1s, CPU × dnsdist", "0.75", "≤ 1", "met", "≤ 0.85: reached"},
		{"lost of an opening burst of 4,000 clients", "1", "≤ 0", "MISSED", ""},
		{"W2, CPU × the best peer", "0.7", "≤ 0.65", "MISSED", "≤ 0.5: not reached"},
		{"W2, resident memory × CoreDNS", "1.2", "≤ 1", "MISSED", ""},
		{"W2r, latency added, ms", "0.5", "≤ 0.6", "met", "≤ 0.4: not reached"},
	}
	var got [][]string
	for line := range strings.Lines(out.String()) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		got = append(got, cells)
	}
	if len(got) < 4 || !slices.EqualFunc(got[3:len(got)-1], want, slices.Equal[[]string]) {
		t.Errorf("%s\nwant %q", out.String(), want)
	}
	if err := r.failure(); err != nil {
		t.Error(err)
	}
	r.add("W1r", []*contest.Contender{samples("whence", map[string]float64{failed: 2, lost: 3}, 1)})
	const complaint = "W1r, round 1: 2 queries failed\nW1r, round 1: 3 queries were lost"
	if err := r.failure(); err == nil || err.Error() != complaint {
		t.Error(err)
	}
}
