package stream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward"
)

func encoded(msg []byte) string { return base64.RawURLEncoding.EncodeToString(msg) }

func TestDoH(t *testing.T) {
	var asked netip.AddrPort
	h := NewDoH(DoHOptions{Handler: func(msg []byte, a netip.AddrPort, over dotforward.Transport, respond func([]byte)) {
		if asked = a; over != dotforward.HTTPS {
			t.Errorf("over %v, want HTTPS", over)
		}
		reply := answerTo(msg)
		go respond(reply)
	}})
	for _, version := range []int{1, 2} {
		srv := httptest.NewUnstartedServer(h)
		srv.EnableHTTP2 = version == 2
		srv.StartTLS()
		defer srv.Close()
		msg := query(0, true)[2:]
		get, _ := http.NewRequest("GET", srv.URL+"/dns-query?ct&dns="+encoded(msg), nil)
		head, _ := http.NewRequest("HEAD", srv.URL+"/dns-query?dns="+encoded(msg), nil)
		post, _ := http.NewRequest("POST", srv.URL+"/dns-query", bytes.NewReader(msg))
		post.Header.Set("Content-Type", "application/dns-message")
		chunked, _ := http.NewRequest("POST", srv.URL+"/dns-query", io.MultiReader(bytes.NewReader(msg)))
		chunked.Header.Set("Content-Type", "Application/DNS-Message; x=y")
		for _, r := range []*http.Request{get, head, post, chunked} {
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if resp.ProtoMajor != version || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/dns-message" ||
				resp.Header.Get("Cache-Control") != "max-age=300" {
				t.Errorf("%s over HTTP/%d: %s, %v", r.Method, version, resp.Status, resp.Header)
			}
			want := answerTo(msg)
			if r.Method == "HEAD" {
				want = nil
			}
			if !bytes.Equal(body, want) {
				t.Errorf("%s over HTTP/%d: %x, want %x", r.Method, version, body, want)
			}
			if asked.Addr() != netip.MustParseAddr("127.0.0.1") || asked.Port() == 0 {
				t.Errorf("asked by %v", asked)
			}
		}
	}
}

func TestDoHRefuses(t *testing.T) {
	h := NewDoH(DoHOptions{Handler: func(msg []byte, _ netip.AddrPort, _ dotforward.Transport, respond func([]byte)) { respond(nil) }})
	msg := query(0, false)[2:]
	reply := answerTo(msg)
	long := make([]byte, 65536)
	longest := append(bytes.Clone(msg), make([]byte, 65535-len(msg))...)
	for _, tt := range []struct {
		name, method, query, typ string
		body                     []byte
		unknown                  bool // length of the body
		want                     int
	}{
		{name: "dropped", method: "GET", query: "dns=" + encoded(msg), want: 403},
		{name: "no parameter", method: "GET", want: 400},
		{name: "another parameter", method: "GET", query: "name=example.org", want: 400},
		{name: "not base64url", method: "GET", query: "dns=+/+/", want: 400},
		{name: "padding", method: "GET", query: "dns=" + base64.URLEncoding.EncodeToString(msg[:len(msg)-1]) + "%3D", want: 400},
		{name: "bad escape", method: "GET", query: "dns=%zz", want: 400},
		{name: "escaped", method: "GET", query: "dns=" + strings.ReplaceAll(encoded(msg), "A", "%41"), want: 403},
		{name: "short", method: "GET", query: "dns=AAAB", want: 400},
		{name: "a reply", method: "GET", query: "dns=" + encoded(reply), want: 400},
		{name: "long", method: "GET", query: "dns=" + encoded(long), want: 414},
		{name: "longest", method: "GET", query: "dns=" + encoded(longest), want: 403},
		{name: "method", method: "PUT", typ: "application/dns-message", body: msg, want: 405},
		{name: "type", method: "POST", typ: "application/json", body: msg, want: 415},
		{name: "no type", method: "POST", body: msg, want: 415},
		{name: "empty", method: "POST", typ: "application/dns-message", want: 400},
		{name: "long body", method: "POST", typ: "application/dns-message", body: long, want: 413},
		{name: "long body, chunked", method: "POST", typ: "application/dns-message", body: long, unknown: true, want: 413},
		{name: "dropped body", method: "POST", typ: "application/dns-message", body: msg, want: 403},
	} {
		r := httptest.NewRequest(tt.method, "/dns-query?"+tt.query, bytes.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.typ)
		if tt.unknown {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want || w.Body.Len() == 0 || w.Header().Get("Cache-Control") != "no-store" ||
			(w.Code == 405) != (w.Header().Get("Allow") != "") {
			t.Errorf("%s: %d, want %d; %v %s", tt.name, w.Code, tt.want, w.Header(), w.Body)
		}
	}
}

// For how long a reply may be kept is the least of its TTLs, for denials that of the SOA record and its minimum; failures are not.
func TestDoHCacheControl(t *testing.T) {
	rr := func(s string) dns.RR {
		r, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	soa := rr("example.org. 3600 IN SOA ns.example.org. mail.example.org. 1 2 3 4 60")
	for _, tt := range []struct {
		name   string
		rcode  int
		answer []dns.RR
		ns     []dns.RR
		want   string
	}{
		{"addresses", 0, []dns.RR{rr("www.example.org. 300 A 192.0.2.1"), rr("www.example.org. 20 A 192.0.2.2")}, nil, "max-age=20"},
		{"NXDOMAIN", dns.RcodeNameError, nil, []dns.RR{soa}, "max-age=60"},
		{"no data", 0, nil, []dns.RR{soa}, "max-age=60"},
		{"no SOA", 0, nil, nil, "max-age=0"},
		{"SERVFAIL", dns.RcodeServerFailure, nil, nil, "no-store"},
	} {
		r := new(dns.Msg).SetRcode(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), tt.rcode)
		r.Answer, r.Ns = tt.answer, tt.ns
		b, err := r.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got := cacheControl(b); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := cacheControl(make([]byte, 12)); got != "no-store" {
		t.Errorf("no reply: %q", got)
	}
}

// A query that nobody answers gets 504, and what comes later is nobody's.
func TestDoHUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		client := netip.MustParseAddrPort("192.0.2.7:0")
		h := NewDoH(DoHOptions{Handler: d.handle, Client: func(*http.Request) netip.AddrPort { return client }})
		w, began := httptest.NewRecorder(), time.Now()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/?dns="+encoded(query(0, false)[2:]), nil))
		if w.Code != 504 || time.Since(began) != 10*time.Second {
			t.Errorf("%d after %v, want 504 after 10s", w.Code, time.Since(began))
		}
		q := d.take(t, 1)[0]
		if q.client != client {
			t.Errorf("asked by %v", q.client)
		}
		q.respond(answerTo(q.msg))
		q.respond(nil)
	})
}

func FuzzDoHParameter(f *testing.F) {
	f.Add("dns=" + encoded(query(1, true)[2:]))
	f.Add("a=b&dns=%41%41")
	f.Fuzz(func(t *testing.T, in string) {
		msg, status := fromURL(in)
		if (msg == nil) != (status != 0) && len(msg) > 0 {
			t.Fatalf("%x and status %d", msg, status)
		}
		if len(msg) > 65535 {
			t.Fatalf("%d bytes", len(msg))
		}
		if status == 0 {
			if again, status := fromURL("dns=" + encoded(msg)); status != 0 || !bytes.Equal(again, msg) {
				t.Fatalf("%x came back as %x, %d", msg, again, status)
			}
		}
	})
}

// Whatever pieces a stream comes in, its frames are the same.
func FuzzFrames(f *testing.F) {
	f.Add(append(query(1, false), query(2, true)...), uint8(3))
	f.Add([]byte{0, 11, 1}, uint8(1))
	f.Add([]byte{0xff, 0xff, 1, 2, 3}, uint8(200))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		rest, wantBad := stream, false
		var want [][]byte
		for len(rest) >= 2 {
			n := int(binary.BigEndian.Uint16(rest))
			if n < 12 {
				wantBad = true
				break
			}
			if len(rest) < 2+n {
				break
			}
			want, rest = append(want, rest[2:2+n]), rest[2+n:]
		}
		var fr frames
		defer fr.free()
		in := pieces{stream, int(step) + 1}
		for {
			err := fr.fill(&in)
			msg, bad := fr.next()
			for ; msg != nil; msg, bad = fr.next() {
				if len(want) == 0 || !bytes.Equal(msg, want[0]) {
					t.Fatalf("frame %x, want %x", msg, want)
				}
				want = want[1:]
			}
			if bad != nil {
				if !wantBad {
					t.Fatal(bad)
				}
				break
			}
			if err != nil {
				if wantBad || fr.partial() != (len(rest) > 0) {
					t.Fatalf("partial %v, %d bytes are left; bad %v", fr.partial(), len(rest), wantBad)
				}
				break
			}
		}
		if len(want) > 0 {
			t.Fatalf("%d frames were not found", len(want))
		}
	})
}

// pieces reads a few bytes at a time.
type pieces struct {
	rest []byte
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(p.most, len(b))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
