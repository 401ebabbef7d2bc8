package layer4whois

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/limit"
)

const articleAnswer = "route: 8.8.8.0/24\r\nas_domain: google.com\r\nas_name: Google LLC\r\nasn: AS15169\r\n" +
	"continent: North America\r\ncontinent_code: NA\r\ncountry: United States\r\ncountry_code: US\r\ndbstatus: ok - data found\r\n"

func TestFraming(t *testing.T) {
	_, addr := start(t, Options{FirstLine: 5 * time.Second})
	iac := "\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0" // WILL NAWS, its subnegotiation
	for _, tt := range []struct {
		name, in string
		half     bool
		want     string
	}{
		{"CR LF", "8.8.8.8\r\n", false, articleAnswer},
		{"LF", "8.8.8.8\n", false, articleAnswer},
		{"CR", "8.8.8.8\r", false, articleAnswer},
		{"CR NUL", "8.8.8.8\r\x00", false, articleAnswer},
		{"no end, half-closed", "8.8.8.8", true, articleAnswer},
		{"CR LF, half-closed", "8.8.8.8\r\n", true, articleAnswer},
		{"blanks and NULs around", " \t8.8.8.8\x00 \r\n", false, articleAnswer},
		{"telnet options first", iac + "8.8.8.8\r\n", false, articleAnswer},
		{"telnet options within", "8.8." + iac + "8.8\r\n", false, articleAnswer},
		{"telnet interrupt", "\xff\xf4\xff\xfd\x068.8.8.8\r\n", false, articleAnswer},
		{"a lone 255", "8.8.8.8\xff\r\n", false, articleAnswer},
		{"input after the line", "8.8.8.8\r\n1.1.1.1\r\nand more\r\n", false, articleAnswer},
		{"the longest line", strings.Repeat(" ", maxLine-7) + "8.8.8.8\r\n", false, articleAnswer},
		{"a longer one", strings.Repeat(" ", maxLine-6) + "8.8.8.8\r\n", false, "%ERROR:107: input line too long: at most 1024 bytes\r\n"},
		{"far longer", strings.Repeat("x", 100_000) + "\r\n", false, "%ERROR:107: input line too long: at most 1024 bytes\r\n"},
		{"telnet without end", "\xff\xfa" + strings.Repeat("x", 5000), false, "%ERROR:107: input line too long: at most 1024 bytes\r\n"},
		{"empty", "\r\n", false, "%ERROR:106: no search key specified\r\n"},
		{"blank", "  \t\r\n", false, "%ERROR:106: no search key specified\r\n"},
		{"nothing at all", "", true, ""},
		{"HTTP", "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", false,
			"%ERROR:115: invalid search key: this is a WHOIS server (RFC 3912), not HTTP\r\n"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false,
			"%ERROR:115: invalid search key: this is a WHOIS server (RFC 3912), not HTTP\r\n"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xab", 500), false,
			"%ERROR:115: invalid search key: this is a WHOIS server (RFC 3912) without TLS\r\n"},
		{"control characters", "a\x1b[2Jb\r\n", false, "%ERROR:115: invalid search key: \"a\\x1b[2Jb\": contains a control character\r\n"},
	} {
		if got := exchange(t, addr, tt.in, tt.half); got != tt.want {
			t.Errorf("%s: got %.300q\nwant %.300q", tt.name, got, tt.want)
		}
	}
}

// A line that comes in pieces, cut anywhere, telnet commands included, is the same line.
func TestFramingPieces(t *testing.T) {
	s, _ := New(Options{Chain: worldChain()})
	in := "\xff\xfb\x1f8.8.\xff\xfa\x1f\x00\x50\xff\xf08.8\r\n"
	for cut := 1; cut < len(in); cut++ {
		client, server := net.Pipe()
		go s.ServeConn(server)
		go func() {
			io.WriteString(client, in[:cut])
			io.WriteString(client, in[cut:])
		}()
		got, err := io.ReadAll(client)
		if string(got) != articleAnswer {
			t.Errorf("cut at %d: %q, %v", cut, got, err)
		}
	}
}

func TestTimeouts(t *testing.T) {
	var mu sync.Mutex
	var outcomes []Outcome
	_, addr := start(t, Options{FirstLine: 100 * time.Millisecond, Idle: 100 * time.Millisecond, Access: func(a *Access) {
		mu.Lock()
		defer mu.Unlock()
		outcomes = append(outcomes, a.Outcome)
	}})
	if got := exchange(t, addr, "8.8.8", false); got != "%ERROR:305: connection has timed out\r\n" {
		t.Errorf("unfinished line: %q", got)
	}
	drip := func(conn net.Conn, stop <-chan struct{}) {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if _, err := conn.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	}
	for name, tt := range map[string]struct{ in, want string }{
		"first line": {"", "%ERROR:305: connection has timed out\r\n"},
		"persistent": {"-k 127.0.0.1\r\n", "route: 127.0.0.0/8\r\ndbstatus: warning - no data available\r\n\r\n\r\n" +
			"%ERROR:305: connection has timed out\r\n"},
	} {
		conn, stop := dial(t, addr), make(chan struct{})
		begun := time.Now()
		io.WriteString(conn, tt.in)
		go drip(conn, stop)
		got, _ := io.ReadAll(io.LimitReader(conn, int64(len(tt.want))))
		if took := time.Since(begun); string(got) != tt.want || took > 2*time.Second {
			t.Errorf("%s fed in drops: %q after %v", name, got, took)
		}
		close(stop)
	}
	conn, stop := dial(t, addr), make(chan struct{})
	defer close(stop)
	io.WriteString(conn, "begin\r\n")
	go drip(conn, stop)
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	io.Copy(io.Discard, conn)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("bulk fed in drops lasted %v", took)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(outcomes) < 3 || outcomes[0] != Timeout {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestPersistent(t *testing.T) {
	_, addr := start(t, Options{})
	nothing := "route: 127.0.0.0/8\r\ndbstatus: warning - no data available\r\n\r\n\r\n"
	in := "-k\r\n127.0.0.1\r\n8.8.8.8\n127.0.0.2\r-k 127.0.0.3\r\n-k\r\n8.8.8.8\r\n"
	if got, want := exchange(t, addr, in, false), nothing+articleAnswer+"\r\n\r\n"+nothing+nothing; got != want {
		t.Errorf("pipelined: %q, want %q", got, want)
	}
	conn := dial(t, addr)
	for range 3 { // one at a time
		io.WriteString(conn, "-k 127.0.0.1\r\n")
		b := make([]byte, len(nothing))
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != nothing {
			t.Fatalf("%q, %v", b, err)
		}
	}
	if got := exchange(t, addr, "-k 127.0.0.1\r\n127.0.0.1", true); got != nothing+nothing {
		t.Errorf("half-closed: %q", got)
	}
}

func TestLimits(t *testing.T) {
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	state := NewState()
	opt := Options{MaxConnsPerClient: 2, Rate: limit.Rate{Events: 1, Per: time.Minute, Burst: 3}, Now: now, State: state}
	s, addr := start(t, opt)
	a, b := dial(t, addr), dial(t, addr)
	for deadline := time.Now().Add(5 * time.Second); s.State().Open() < 2 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := ask(t, addr, "8.8.8.8"); got != "%ERROR:306: too many connections\r\n" {
		t.Errorf("third connection: %q", got)
	}
	for _, conn := range []net.Conn{a, b} {
		io.WriteString(conn, "8.8.8.8\r\n")
		if got, _ := io.ReadAll(conn); string(got) != articleAnswer {
			t.Errorf("%q", got)
		}
	}
	if got := ask(t, addr, "8.8.8.8"); got != articleAnswer {
		t.Errorf("third of the burst: %q", got)
	}
	const slow = "%ERROR:201: access denied: too many queries, try again later\r\n"
	if got := ask(t, addr, "8.8.8.8"); got != slow {
		t.Errorf("beyond the burst: %q", got)
	}
	for deadline := time.Now().Add(5 * time.Second); s.State().Open() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	opt.Chain = nil
	_, next := start(t, opt) // takes the first one's place
	if got := ask(t, next, "8.8.8.8"); got != slow {
		t.Errorf("the bucket was refilled by a reload: %q", got)
	}
	mu.Lock()
	clock = clock.Add(time.Minute)
	mu.Unlock()
	if got := ask(t, next, "8.8.8.8"); got != articleAnswer {
		t.Errorf("after a minute: %q", got)
	}
}

func TestLists(t *testing.T) {
	denied := "%ERROR:201: access denied: for 127.0.0.1\r\n"
	for name, tt := range map[string]struct {
		allow, deny []netip.Prefix
		want        string
	}{
		"allowed":    {[]netip.Prefix{prefix("127.0.0.0/8")}, nil, articleAnswer},
		"not in":     {[]netip.Prefix{prefix("192.0.2.0/24")}, nil, denied},
		"denied":     {nil, []netip.Prefix{prefix("127.0.0.0/8")}, denied},
		"both":       {[]netip.Prefix{prefix("127.0.0.0/8")}, []netip.Prefix{prefix("127.0.0.1/32")}, denied},
		"denies not": {nil, []netip.Prefix{prefix("2001:db8::/32")}, articleAnswer},
	} {
		_, addr := start(t, Options{Allow: tt.allow, Deny: tt.deny})
		if got := ask(t, addr, "8.8.8.8"); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOptions(t *testing.T) {
	chain := worldChain()
	for name, o := range map[string]Options{
		"no chain":      {},
		"negative time": {Chain: chain, Idle: -1},
		"bad network":   {Chain: chain, Client: &limit.Network{Bits4: 33}},
		"footer":        {Chain: chain, Footer: []string{"a\nb"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPanic(t *testing.T) {
	_, addr := start(t, Options{})
	for _, in := range []string{"192.0.2.66\r\n", "begin\n192.0.2.66\n"} {
		if got := exchange(t, addr, in, false); !strings.HasSuffix(got, "%ERROR:100: internal software error\r\n") {
			t.Errorf("%q", got)
		}
	}
	if got := ask(t, addr, "8.8.8.8"); got != articleAnswer {
		t.Errorf("afterwards: %q", got)
	}
}

func TestShutdown(t *testing.T) {
	s, addr := start(t, Options{})
	waiting, kept, bulk := dial(t, addr), dial(t, addr), dial(t, addr)
	keptR, bulkR := bufio.NewReader(kept), bufio.NewReader(bulk)
	io.WriteString(kept, "-k 127.0.0.1\r\n")
	io.WriteString(bulk, "begin\n")
	if _, err := bulkR.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := keptR.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- s.Shutdown(ctx) }()
	if rest, err := io.ReadAll(keptR); len(rest) != 0 || err != nil {
		t.Errorf("a persistent connection at rest: %q, %v", rest, err)
	}
	io.WriteString(waiting, "8.8.8.8\r\n") // connected before, asks now
	if got, _ := io.ReadAll(waiting); string(got) != articleAnswer {
		t.Errorf("a connection that had not asked yet: %q", got)
	}
	io.WriteString(bulk, "8.8.8.8\n")
	if row, err := bulkR.ReadString('\n'); err != nil || !strings.HasPrefix(row, "15169 ") {
		t.Errorf("a bulk query: %q, %v", row, err)
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v while a bulk query was open", err)
	default:
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("Shutdown: %v", err)
	}
	if rest, _ := io.ReadAll(bulkR); len(rest) != 0 {
		t.Errorf("cut off: %q", rest)
	}
	if got := ask(t, addr, "8.8.8.8"); got != articleAnswer {
		t.Errorf("a connection handed over late: %q", got)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("again: %v", err)
	}
}

// learns is a source that has to fetch first.
type learns struct{ known chan struct{} }

func (l *learns) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	select {
	case <-l.known:
		r.Set("site", "Berlin")
		return enrich.Next
	default:
		r.Note(enrich.Unfetched, "being fetched")
		return enrich.Pending
	}
}

func (l *learns) Fetch(context.Context, *enrich.Ask) error { close(l.known); return nil }

func TestWait(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		0:               "% site: unfetched: being fetched\r\ndbstatus: warning - no data available\r\n",
		5 * time.Second: "site: Berlin\r\ndbstatus: ok - data found\r\n",
	} {
		l := &learns{make(chan struct{})}
		_, addr := start(t, Options{Chain: enrich.NewChain("", enrich.Link{Name: "site", Source: l}), Wait: wait})
		if got := ask(t, addr, "192.0.2.1"); got != want {
			t.Errorf("wait %v: %q", wait, got)
		}
	}
}
