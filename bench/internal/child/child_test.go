//go:build linux

package child

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func newStand(t *testing.T) *Stand {
	t.Helper()
	s, err := NewStand()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestPrinting(t *testing.T) {
	s := newStand(t)
	p, err := s.Printing("good", exec.Command("sh", "-c", "echo 127.0.0.1:7; echo up >&2; exec sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Addr.String() != "127.0.0.1:7" {
		t.Errorf("listens on %v", p.Addr)
	}
	s.Close()
	select {
	case <-p.done:
	default:
		t.Error("the process outlives its stand")
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestFailuresSayWhy(t *testing.T) {
	s := newStand(t)
	for _, script := range []string{
		"echo no such file >&2; exit 1", "echo no such file >&2; echo 127.0.0.1", "echo no such file >&2; exec 1>&-; exec sleep 60",
	} {
		if _, err := s.Printing("bad", exec.Command("sh", "-c", script)); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%q: %v, want an error with what it said", script, err)
		}
	}
	if _, err := s.Caddy("caddy", "/bin/false", Caddyfile{}, Serving); err == nil || !strings.Contains(err.Error(), "caddy: its log") {
		t.Errorf("a Caddy that ends at once: %v", err)
	}
}

// TestCaddy stands a script in for the binary, which logs as Caddy does.
func TestCaddy(t *testing.T) {
	s := newStand(t)
	binary := filepath.Join(s.Dir, "fake")
	script := "#!/bin/sh\n" + `cat "$3" >&2
echo '{"logger":"http","msg":"port 0 listener","address":"0","actual_address":"127.0.0.1:8"}' >&2
echo '{"logger":"whois","msg":"listening","address":"127.0.0.1:9"}' >&2
echo '{"msg":"serving initial configuration"}' >&2
exec sleep 60
`
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := s.Caddy("one", binary, Caddyfile{Options: "\tenrich\n", Sites: Site("respond x")}, Serving)
	if err != nil {
		t.Fatal(err)
	}
	if p.Addr.Port() != 8 {
		t.Errorf("the site is at %v", p.Addr)
	}
	if !p.LoggedAddr(func(e Entry) string { return map[bool]string{true: e.Address}[e.Logger == "whois"] }) || p.Addr.Port() != 9 {
		t.Errorf("WHOIS is at %v", p.Addr)
	}
	want := "{\n\tadmin unix/" + s.Admin("one") + "\n\tpersist_config off\n\tenrich\n}\nhttp://:0 {\n\tbind 127.0.0.1\n\trespond x\n}\n"
	if log := string(p.Log()); !strings.HasPrefix(log, want) {
		t.Errorf("configured with\n%s\nwant\n%s", log, want)
	}
}

func TestMemory(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := &Server{cmd: &exec.Cmd{Process: self}}
	watch := p.WatchMemory()
	defer watch.Stop()
	if now, peak, most := p.Memory(), p.PeakMemory(), watch.Most(); now < 1<<20 || peak < now || most < 1<<20 {
		t.Errorf("%d bytes, at most %d; %d where it was watched", now, peak, most)
	}
}

func TestUnpack(t *testing.T) {
	s := newStand(t)
	name, err := s.Unpack(fstest.MapFS{"peers/loop.py": {Data: []byte("pass\n")}}, "peers/loop.py")
	if err != nil || filepath.Base(name) != "loop.py" {
		t.Fatal(name, err)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "pass\n" {
		t.Errorf("%q (%v)", b, err)
	}
}

func TestClocks(t *testing.T) {
	process, own, machine := ProcessCPU(os.Getpid()), OwnCPU(), MachineCPU()
	for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); {
	}
	if used := ProcessCPU(os.Getpid()) - process; process == 0 || used <= 0 {
		t.Errorf("CPU clock: %v, then %v more", process, used)
	}
	if used := OwnCPU() - own; own == 0 || used <= 0 {
		t.Errorf("own CPU: %v, then %v more", own, used)
	}
	if machine == 0 || MachineCPU() < machine {
		t.Errorf("the machine's CPU: %v, then %v", machine, MachineCPU())
	}
}
