package domainstats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

func post(t testing.TB, a *API, list string) []string {
	t.Helper()
	status, body, h := do(t, a, request("POST", "/v1/lookup", strings.NewReader(list)))
	if status != 200 || h.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %q %s", status, h.Get("Content-Type"), body)
	}
	if body == "" {
		return nil
	}
	return lines(body)
}

// Exactly one line a subject, in order, whatever the form.
func TestBulkLines(t *testing.T) {
	a := newAPI(t, nil)
	got := post(t, a, "\n192.0.2.1\r\n  sans.org \n\n\"example.org\"\n{\"subject\":\"AS64496\"}\n{ \"x\": [1], \"subject\": \"2001:db8::/32\" }\n"+
		"\"ex\\u0061mple.com\"\n010.0.0.1\n{\"subject\":7}\n{\"x\":1}\n{not json\n\"two words\"\n{\"subject\":\"010.0.0.1\"}\n\xff\n"+
		strings.Repeat("x", 5000)+"\n"+strings.Repeat("y", 20000)+"\nM\u00fcller.example\nlast.example.org")
	want := []string{
		`{"subject":"192.0.2.1","kind":"address","sources":[]}`,
		`{"subject":"sans.org","kind":"domain","registrar":"Example Registrar, Inc.","created":"1995-08-04T04:00:00Z",…`,
		`{"subject":"example.org","kind":"domain","sources":[]}`,
		`{"subject":"AS64496","kind":"as","sources":[]}`,
		`{"subject":"2001:db8::/32","kind":"prefix","sources":[]}`,
		`{"subject":"example.com","kind":"domain","sources":[]}`,
		`{"subject":"010.0.0.1","error":"…`,
		`{"subject":"{\"subject\":7}","error":"want a JSON object with a member \"subject\" that is a string"}`,
		`{"subject":"{\"x\":1}","error":"want a JSON object with a member \"subject\" that is a string"}`,
		`{"subject":"{not json","error":"more than one word"}`,
		`{"subject":"\"two words\"","error":"more than one word"}`,
		`{"subject":"010.0.0.1","error":"…`,
		`{"subject":"\ufffd","error":"is not UTF-8"}`,
		`{"subject":"` + strings.Repeat("x", 1024) + `","error":"longer than 4096 bytes"}`,
		`{"subject":"` + strings.Repeat("y", 1024) + `","error":"longer than 4096 bytes"}`,
		`{"subject":"xn--mller-kva.example","kind":"domain","sources":[]}`,
		`{"subject":"last.example.org","kind":"domain","sources":[]}`,
	}
	for i := range min(len(got), len(want)) {
		if w, ok := strings.CutSuffix(want[i], "…"); got[i] != want[i] && !(ok && strings.HasPrefix(got[i], w)) {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
	if n := a.State().BulkLines(); n != uint64(len(want)) {
		t.Errorf("counted %d lines", n)
	}
	for _, empty := range []string{"", "\n", "\r\n \t\n"} {
		if got := post(t, a, empty); got != nil {
			t.Errorf("%q is answered with %q", empty, got)
		}
	}
}

func TestBulkRefusals(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.MaxBody, o.MaxStreams = 10, 1 })
	for _, tt := range []struct {
		name   string
		header [2]string
		body   io.Reader
		status int
		want   string
	}{
		{name: "multipart", header: [2]string{"Content-Type", "multipart/form-data; boundary=x"}, body: strings.NewReader("x"), status: 415},
		{name: "gzip", header: [2]string{"Content-Encoding", "gzip"}, body: strings.NewReader("x"), status: 415},
		{name: "too long", body: strings.NewReader("192.0.2.1\n192.0.2.2\n"), status: 413},
		{name: "just long enough", body: strings.NewReader("192.0.2.1\n"), status: 200, want: `{"subject":"192.0.2.1"`},
		{name: "too long, as it turns out", body: io.MultiReader(strings.NewReader("1.0.0.1\n1.1.1.1\n")), status: 200,
			want: `{"error":"the list is longer than it may be"}`},
		{name: "form, as curl says", header: [2]string{"Content-Type", "application/x-www-form-urlencoded"}, body: strings.NewReader("x.com"), status: 200,
			want: `{"subject":"x.com"`},
	} {
		r := request("POST", "/v1/lookup", tt.body)
		if tt.header[0] != "" {
			r.Header.Set(tt.header[0], tt.header[1])
		}
		status, body, _ := do(t, a, r)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
	}
	a.state.streams.Add(1)
	status, _, h := do(t, a, request("POST", "/v1/lookup", strings.NewReader("x.com")))
	if status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %d", status)
	}
}

// A client may write a line and wait for its answer.
func TestBulkInteractive(t *testing.T) {
	srv := httptest.NewServer(newAPI(t, nil))
	defer srv.Close()
	body, in := io.Pipe()
	req, err := http.NewRequest("POST", srv.URL+"/v1/lookup", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = in.Write([]byte("n0.example.org\n")) }()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := bufio.NewReader(res.Body)
	for i := range 100 {
		line, err := out.ReadString('\n')
		if want := fmt.Sprintf(`{"subject":"n%d.example.org",`, i); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("%q, %v, want %s", line, err, want)
		}
		if _, err := fmt.Fprintf(in, "n%d.example.org\n", i+1); err != nil {
			t.Fatal(err)
		}
	}
	in.Close()
	if rest, err := io.ReadAll(out); err != nil || !strings.HasPrefix(string(rest), `{"subject":"n100.`) {
		t.Errorf("%q, %v", rest, err)
	}
}

// A million lines, to a client that does not read for a while: the server stops reading, and its memory does not grow.
func TestBulkBackPressure(t *testing.T) {
	a := newAPI(t, nil)
	srv := httptest.NewServer(a)
	defer srv.Close()
	total := 1_000_000
	if testing.Short() {
		total = 200_000
	}
	var sent atomic.Int64
	body, in := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(in, 32<<10)
		for i := range total {
			fmt.Fprintf(w, "n%d.example.org\n", i)
			sent.Store(int64(i))
		}
		w.Flush()
		in.Close()
	}()
	res, err := http.Post(srv.URL+"/v1/lookup", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	before := int64(-1)
	for n := sent.Load(); n != before; n = sent.Load() { // until nothing moves
		before = n
		time.Sleep(300 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if int(before) >= total-1 {
		t.Errorf("all %d lines were taken without a reader", total)
	}
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB in use after %d lines", m.HeapAlloc>>20, before)
	}
	n := 0
	sc := bufio.NewScanner(res.Body)
	for ; sc.Scan(); n++ {
		if n%997 == 0 && !bytes.HasPrefix(sc.Bytes(), fmt.Appendf(nil, `{"subject":"n%d.example.org",`, n)) {
			t.Fatalf("line %d is %s", n, sc.Bytes())
		}
	}
	if err := sc.Err(); err != nil || n != total {
		t.Errorf("%d lines, %v", n, err)
	}
}

// A client that takes nothing for too long is let go, also where it goes on sending.
func TestBulkWriteTimeout(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Write = 200 * time.Millisecond })
	srv := httptest.NewServer(a)
	defer srv.Close()
	body, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		line := strings.Repeat("sans.org\n", 1000)
		for {
			if _, err := io.WriteString(in, line); err != nil {
				ended <- err
				return
			}
		}
	}()
	res, err := http.Post(srv.URL+"/v1/lookup", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the server goes on reading")
	}
	waitFor(t, func() bool { return a.count("bulk", "refused") == 1 && a.state.streams.Load() == 0 })
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in 20 s")
		}
	}
}

// The deadlines of a list are not those of the connection: it serves on when they have passed.
func TestBulkKeepsConnection(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Idle, o.Write = 50*time.Millisecond, 50*time.Millisecond })
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	var conns []string
	a.opt.ClientAddr = func(r *http.Request) netip.Addr { conns = append(conns, r.RemoteAddr); return netip.Addr{} }
	for range 3 {
		res, err := http.Post(srv.URL+"/v1/lookup", "text/plain", strings.NewReader("192.0.2.1\n"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err != nil || len(lines(string(b))) != 1 {
			t.Errorf("%q, %v", b, err)
		}
		res.Body.Close()
		time.Sleep(100 * time.Millisecond) // beyond the deadlines
		if res, err = http.Get(srv.URL + "/cache_get"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if len(conns) != 3 || conns[0] != conns[2] {
		t.Errorf("the requests came over %q", conns)
	}
}

// bomb is a source with a mistake.
type bomb struct{}

func (bomb) Add(q *enrich.Query, _ *enrich.Record) enrich.Verdict {
	if q.Subject.Name() == "bomb.example" {
		panic("boom")
	}
	return enrich.Next
}

func TestBulkPanic(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Chain = enrich.NewChain("", enrich.Link{Name: "bomb", Source: bomb{}}) })
	got := post(t, a, "a.example\nbomb.example\nb.example\n")
	if len(got) != 3 || got[1] != `{"subject":"bomb.example","error":"internal error, the log has more"}` || !strings.Contains(got[2], "b.example") {
		t.Errorf("%q", got)
	}
}

// FuzzBulk gives the reader any list, in pieces of any size: one line of JSON for each line that is not blank.
func FuzzBulk(f *testing.F) {
	f.Add([]byte("192.0.2.1\nx\n"), 3)
	f.Add([]byte("{\"subject\":\"x\"}\n\"x\"\n\"\n{}\n{\"subject\":}\n\xff"), 1)
	f.Add(append(bytes.Repeat([]byte("a"), 9000), "\nb"...), 4096)
	a := newAPI(f, nil)
	f.Fuzz(func(t *testing.T, list []byte, size int) {
		want := 0
		for line := range bytes.SplitSeq(list, []byte("\n")) {
			if len(bytes.TrimSpace(line[:min(len(line), maxLine+1)])) > 0 {
				want++
			}
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, request("POST", "/v1/lookup", &pieces{list, max(size, 1)}))
		got := 0
		for line := range bytes.Lines(w.Body.Bytes()) {
			if got++; !json.Valid(line) {
				t.Errorf("invalid JSON %q", line)
			}
		}
		if got != want {
			t.Errorf("%d lines for %d", got, want)
		}
	})
}

// pieces is a body that arrives in pieces.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(len(p.rest), p.size)])
	p.rest = p.rest[n:]
	return n, nil
}
