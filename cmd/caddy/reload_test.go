package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// TestReloadLosesNothing reloads under load and counts: no query may fail, and nothing may pile up.
func TestReloadLosesNothing(t *testing.T) {
	const clients = 32
	reloads := 100
	if os.Getenv("WHENCE_SOAK") != "" {
		reloads = 1000
	}
	db, _ := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	config := func(i int) string { return liteConfig(db, fmt.Sprintf("\t\tfooter \"configuration %d\"", i)) }
	s := start(t, config(0))
	address := s.whois(0)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var asked, failed atomic.Int64
	var first atomic.Pointer[string]
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				answer, err := tryAsk(address, "8.8.8.8")
				if err != nil || !strings.Contains(answer, "dbstatus: ok") {
					failed.Add(1)
					msg := fmt.Sprintf("%q (%v)", answer, err)
					first.CompareAndSwap(nil, &msg)
				}
			}
		})
	}
	var after10 usage
	for i := 1; i <= reloads; i++ {
		if err := s.load(config(i)); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
		if i == 10 {
			after10 = s.usage(clients)
		}
	}
	atEnd := s.usage(clients)
	close(stop)
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d queries failed over %d reloads, the first: %s", failed.Load(), asked.Load(), reloads, *first.Load())
	}
	if asked.Load() < int64(10*reloads) {
		t.Errorf("%d queries over %d reloads are no load", asked.Load(), reloads)
	}
	if got := ask(t, address, "8.8.8.8"); !strings.Contains(got, fmt.Sprintf("configuration %d\r\n", reloads)) {
		t.Errorf("the last configuration does not serve: %q", got)
	}
	t.Logf("%d queries over %d reloads; %+v after 10, %+v at the end", asked.Load(), reloads, after10, atEnd)
	if atEnd.goroutines > after10.goroutines+clients || atEnd.files > after10.files+clients {
		t.Errorf("%+v after 10 reloads became %+v after %d", after10, atEnd, reloads)
	}
}

// usage is what a process holds. Under load it wavers with the connections that are open at the moment.
type usage struct{ goroutines, files int }

func (s *server) usage(clients int) (least usage) {
	s.t.Helper()
	least = usage{1 << 30, 1 << 30}
	for range 5 {
		var u usage
		head, _, _ := strings.Cut(s.get("/debug/pprof/goroutine?debug=1"), "\n")
		if _, err := fmt.Sscanf(head, "goroutine profile: total %d", &u.goroutines); err != nil {
			s.t.Fatalf("%q: %v", head, err)
		}
		if runtime.GOOS == "linux" {
			fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
			if err != nil {
				s.t.Fatal(err)
			}
			u.files = len(fds)
		}
		least = usage{min(least.goroutines, u.goroutines), min(least.files, u.files)}
	}
	return least
}

// TestFailedReload loads configurations that cannot serve: the one before goes on, with nothing lost.
func TestFailedReload(t *testing.T) {
	db, _ := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	s := start(t, liteConfig(db, "\t\tfooter \"the good one\""))
	address := s.whois(0)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := liteConfig(db, "\t\tfooter \"the bad one\"")
	for _, test := range []struct{ name, config, want string }{
		{"an unknown option", strings.Replace(good, "footer", "foooter", 1), `whois has no option "foooter"`},
		{"an unknown chain", strings.Replace(good, "\t\tfooter", "\t\tenrich lan\n\t\tfooter", 1), `no enrichment chain is named "lan"`},
		{"a port that is taken", strings.Replace(good, "bind 127.0.0.1:0", "bind 127.0.0.1:0 "+taken.Addr().String(), 1), "in use"},
	} {
		err := s.load(test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.want)
		}
		if got := ask(t, address, "8.8.8.8"); !strings.Contains(got, "asn: AS15169") || !strings.Contains(got, "the good one") {
			t.Errorf("after %s: %q", test.name, got)
		}
	}
}

// TestSecondProcess starts a second server on the port of the first: it must not take half of the queries, but say why it cannot.
func TestSecondProcess(t *testing.T) {
	first := lite(t, "")
	address := first.whois(0)
	second := newServer(t)
	second.write("Caddyfile", globals("\twhois {\n\t\tbind "+address+"\n\t}"))
	out, err := second.command("run", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput()
	if err == nil {
		t.Fatalf("the second server ran:\n%s", out)
	}
	want := "in use by"
	if runtime.GOOS == "linux" {
		want = fmt.Sprintf("in use by caddy (pid %d)", first.cmd.Process.Pid)
	}
	if !strings.Contains(string(out), want) || !strings.Contains(string(out), address) {
		t.Errorf("no %q and address %s in:\n%s", want, address, out)
	}
	if got := ask(t, address, "8.8.8.8"); !strings.Contains(got, "asn: AS15169") {
		t.Errorf("the first server answered %q", got)
	}
}

// TestOverwriteInPlace writes over the database that is being asked, in pieces and with breaks: no query may see harm.
func TestOverwriteInPlace(t *testing.T) {
	big, err := os.ReadFile(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile(testenv.Path(t, "mmdb", "ipinfo-lite-sample", "ipinfo_lite_sample.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.write("data/lite.mmdb", string(big))
	s.start(liteConfig("./data/*.mmdb", ""))
	address := s.whois(0)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := tryAsk(address, "8.8.8.8")
				if err != nil || !strings.HasPrefix(answer, "route: ") || !strings.Contains(answer, "\r\ndbstatus: ") {
					wrong.Add(1)
				}
			}
		})
	}
	file, err := os.OpenFile(s.path("data/lite.mmdb"), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	half := len(sample) / 2
	file.Write(sample[:half])
	s.log.wait(t, 1, `"logger":"enrich.sources.mmdb"`, "lite.mmdb", `"level":"error"`) // a half-copied file is refused
	if got := ask(t, address, "8.8.8.8"); !strings.Contains(got, "asn: AS15169") {
		t.Errorf("the last good database does not serve: %q", got)
	}
	file.Write(sample[half:])
	file.Close()
	eventually(t, "the whole file is taken in", func() bool {
		return strings.Contains(ask(t, address, "8.8.8.8"), "dbstatus: warning") // the sample has no 8.8.8.8
	})
	os.Remove(s.path("data/lite.mmdb"))
	s.write("data/lite.mmdb", string(big))
	eventually(t, "the first database is back", func() bool {
		return strings.Contains(ask(t, address, "8.8.8.8"), "asn: AS15169")
	})
	close(stop)
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d wrong answers while the file was overwritten", wrong.Load())
	}
}

// TestFullDisk has the audit log on a disk that is full: answers go on.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		testenv.Skip(t, "no /dev/full here")
	}
	db, _ := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	s := start(t, strings.Replace(liteConfig(db, ""), "\tenrich {",
		"\tlog audit {\n\t\tinclude whois.access\n\t\toutput file /dev/full {\n\t\t\troll_disabled\n\t\t}\n\t}\n\tenrich {", 1))
	address := s.whois(0)
	for range 100 {
		if got := ask(t, address, "8.8.8.8"); !strings.Contains(got, "asn: AS15169") {
			t.Fatalf("answered %q", got)
		}
	}
}

// TestSimpleWHOISLog writes the audit log in simple-whois' own format.
func TestSimpleWHOISLog(t *testing.T) {
	s := newServer(t)
	s.write("records/test.com", "Domain Name: TEST.COM\n")
	s.start(globals("\tlog audit {\n\t\tinclude whois.access\n\t\toutput file audit.log {\n\t\t\troll_interval 24h\n\t\t\troll_keep 7\n\t\t}\n" +
		"\t\tformat simple_whois\n\t}\n\tenrich {\n\t\trecords ./records\n\t}\n\twhois {\n\t\tbind 127.0.0.1:0\n\t}"))
	address := s.whois(0)
	for _, test := range []struct{ query, want string }{
		{"test.com", "Domain Name: TEST.COM\r\n\r\n"},
		{"test.org", "Record not found\r\n"},
		{"../audit.log", "Error\r\n"},
		{"two words", "Record not found\r\n"},
		{"nul\x00/../../etc/passwd", "Error\r\n"},
	} {
		if got := ask(t, address, test.query); got != test.want {
			t.Errorf("%s: %q, want %q", test.query, got, test.want)
		}
	}
	var log string
	eventually(t, "a line for each", func() bool {
		b, _ := os.ReadFile(s.path("audit.log"))
		log = string(b)
		return strings.Count(log, "\n") == 5
	})
	for i, line := range strings.Split(strings.TrimSpace(log), "\n") {
		query := []string{"test.com", "test.org", "../audit.log", "two words", "nul/../../etc/passwd"}[i]
		stamp, rest, ok := strings.Cut(line, " WHOIS_SERVER INFO ")
		if _, err := time.Parse("2006-01-02 15:04:05,000", stamp); !ok || err != nil || rest != "client_ip:127.0.0.1 requested_domain:"+query {
			t.Errorf("line %d: %q (%v)", i, line, err)
		}
	}
}

// TestAbuse has clients of every bad kind at the same time, and one that is served all along.
func TestAbuse(t *testing.T) {
	s := lite(t, "\t\tmax_connections_per_client 2000\n\t\tmax_connections 2000")
	address := s.whois(0)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	dial := func(say string) {
		t.Helper()
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, say)
		open = append(open, c)
	}
	before := s.rss()
	for range 1000 {
		dial("") // idle
	}
	for range 50 {
		dial("8") // drip
		dial("begin\r\nverbose\r\n" + strings.Repeat("8.8.8.8\r\n", 5000))
	}
	for range 100 {
		if got := ask(t, address, "8.8.8.8"); !strings.Contains(got, "asn: AS15169") {
			t.Fatalf("answered %q", got)
		}
	}
	if after := s.rss(); before > 0 && !race && after > before+64<<20 { // the race detector keeps a shadow of what is used
		t.Errorf("resident memory went from %d to %d MiB", before>>20, after>>20)
	}
	for _, test := range []struct{ say, want string }{
		{"GET / HTTP/1.1\r\nHost: x", "%"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "%"},
		{strings.Repeat("x", 5000), "%ERROR:107"},
		{"", "%ERROR:106"},
	} {
		if got := ask(t, address, test.say); !strings.HasPrefix(got, test.want) {
			t.Errorf("%.20q: answered %q, want %s…", test.say, got, test.want)
		}
	}
}

// rss is the resident memory of the server, 0 where the system does not tell.
func (s *server) rss() int {
	out, err := exec.Command("ps", "-o", "rss=", "-p", fmt.Sprint(s.cmd.Process.Pid)).Output()
	if err != nil {
		return 0
	}
	var kib int
	fmt.Sscan(string(out), &kib)
	return kib << 10
}
