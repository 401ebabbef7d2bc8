package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/whence-project/whence/internal/testenv"
)

// annotator is a folder with a Caddyfile that names lite-composite.mmdb, and the logs of the test data.
func annotator(t *testing.T) (s *server, db string) {
	t.Helper()
	db, err := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	s = newServer(t)
	s.write("Caddyfile", globals("\tenrich {\n\t\tiana\n\t\tmmdb "+db+"\n\t}"))
	for _, name := range []string{"apache_access_10k.log", "auth.log", "List_of_Attacker_IP_with_Enrichment.csv"} {
		log, err := filepath.Abs(testenv.Path(t, "logs", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(log, s.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	return s, db
}

func (s *server) annotate(stdin string, args ...string) ran {
	s.t.Helper()
	return s.whence(stdin, append([]string{"annotate", "--config", "Caddyfile"}, args...)...)
}

func (s *server) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

var inPlace = regexp.MustCompile(`\[(AS\d+( [A-Z]{2})?|[A-Z]{2})\]`)

// TestAnnotateLogs annotates real logs: one line for one, in order, with what the database has for each client.
func TestAnnotateLogs(t *testing.T) {
	s, path := annotator(t)
	db, err := maxminddb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	known := func(address string) string {
		var record struct {
			ASN     string `maxminddb:"asn"`
			Country string `maxminddb:"country_code"`
		}
		if err := db.Lookup(netip.MustParseAddr(address)).Decode(&record); err != nil {
			t.Fatal(err)
		}
		if both := strings.TrimSpace(record.ASN + " " + record.Country); both != "" {
			return "[" + both + "]"
		}
		return ""
	}
	log := s.read("apache_access_10k.log")
	got := s.annotate("", "--summary=top.json", "apache_access_10k.log")
	got.wants(t, 0, "", "")
	lines := strings.SplitAfter(got.out, "\n")
	for i, line := range strings.SplitAfter(log, "\n") {
		client, _, _ := strings.Cut(line, " ")
		if i >= len(lines) || line != "" && !strings.HasPrefix(lines[i], client+known(client)+" - ") {
			t.Fatalf("line %d of %d: %q became %q", i+1, len(lines)-1, line, lines[min(i, len(lines)-1)])
		}
	}
	if inPlace.ReplaceAllString(got.out, "") != log {
		t.Error("more than annotations was put into the log")
	}
	var top struct {
		Lines, Annotated, Unknown int
		AS                        []struct {
			Value, Name string
			Count       int
		}
	}
	if err := json.Unmarshal([]byte(s.read("top.json")), &top); err != nil || top.Lines != 10_000 || top.Annotated+top.Unknown != 10_000 || len(top.AS) != 10 || top.AS[0].Value != "AS15169" {
		t.Errorf("summary (%v): %+v", err, top)
	}

	log = s.read("auth.log")
	got = s.annotate(log, "--format", "text", "-")
	if inPlace.ReplaceAllString(got.out, "") != log || strings.Count(got.out, "\n") != strings.Count(log, "\n") {
		t.Error("auth.log is not what it was, but for annotations")
	}
	for _, line := range []string{"from 85.245.107.41" + known("85.245.107.41") + " port 54259 ssh2", "Server listening on 0.0.0.0 port 22.\n", "Server listening on :: port 22.\n"} {
		if !strings.Contains(got.out, line) {
			t.Errorf("auth.log has no %q", line)
		}
	}
	if got.err != "" || got.code != 0 {
		t.Errorf("status %d: %s", got.code, got.err)
	}
}

// TestAnnotateCSV holds the countries of a list of attackers against those that its makers found.
func TestAnnotateCSV(t *testing.T) {
	s, _ := annotator(t)
	s.annotate("", "--in", "ipAddress", "-o", "out.csv.gz", "List_of_Attacker_IP_with_Enrichment.csv").wants(t, 0, "", "")
	out, err := exec.Command(testenv.Program(t, "gzip", "gzip"), "-dc", s.path("out.csv.gz")).Output()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil || len(rows) < 1000 || rows[0][len(rows[0])-1] != "ipAddress_country_code" {
		t.Fatalf("%d rows (%v)", len(rows), err)
	}
	same := 0
	for _, row := range rows[1:] {
		if row[5] == row[len(row)-1] {
			same++
		}
	}
	if same < len(rows)*8/10 {
		t.Errorf("%d of %d countries are the same", same, len(rows)-1)
	}
}

// TestAnnotateFiles replaces files, packed ones too, and leaves alone what it cannot annotate.
func TestAnnotateFiles(t *testing.T) {
	s, _ := annotator(t)
	gzip := testenv.Program(t, "gzip", "gzip")
	s.write("a.log", "8.8.8.8\n")
	s.write("b.json", `{"ip":"8.8.8.8"}`)
	s.write("c.log", "8.8.8.8\n")
	for _, args := range [][]string{{gzip, s.path("c.log")}, {"chmod", "640", s.path("a.log")}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	s.annotate("", "--in-place", "--fields", "asn", "a.log", "b.json", "c.log.gz").wants(t, 0, "", "")
	packed, err := exec.Command(gzip, "-dc", s.path("c.log.gz")).Output()
	if s.read("a.log") != "8.8.8.8[AS15169]\n" || s.read("b.json") != `{"ip":"8.8.8.8","whence":{"8.8.8.8":{"asn":"AS15169"}}}` || string(packed) != "8.8.8.8[AS15169]\n" {
		t.Errorf("%q, %q, %q (%v)", s.read("a.log"), s.read("b.json"), packed, err)
	}
	if info, err := os.Stat(s.path("a.log")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v (%v), want 0640", info.Mode(), err)
	}
	for _, tt := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"--in-place"}, "--in-place needs files"},
		{[]string{"missing.log"}, "open missing.log: no such file"},
		{[]string{"-o", "out.log", "."}, ". is a folder: name the files in it"},
		{[]string{"--in", "client", "-o", "out.log", "a.log"}, `"client" names no field of a line of text`},
		{[]string{"--format", "xml"}, `"xml" is no format of logs`},
		{[]string{"--header", "maybe"}, `--header "maybe": there are auto, yes and no`},
		{[]string{"--delimiter", "ab"}, `--delimiter "ab": it is one character`},
		{[]string{"--max-line", "many"}, `--max-line "many": it is a size`},
		{[]string{"--names", "--in", "1"}, "--names looks for names everywhere"},
		{[]string{"--top", "0"}, "--top 0: it is at least 1"},
		{[]string{"--chain", "lan"}, `lan`},
	} {
		s.annotate("", tt.args...).wants(t, 1, "", strings.ReplaceAll(tt.stderr, `"`, `\"`))
	}
	if _, err := os.Stat(s.path("out.log")); err == nil {
		t.Error("there is an output where there was an error")
	}
	if left, err := filepath.Glob(s.path("*.part")); len(left) > 0 || err != nil {
		t.Errorf("%q was left (%v)", left, err)
	}
	s.annotate("{}\n[]\n", "--format", "json").wants(t, 0, "{}\n[]\n", "1 of 2 lines passed as they are")
}

// TestAnnotateBar has a terminal: there is a bar, of which nothing is left in the log.
func TestAnnotateBar(t *testing.T) {
	script := testenv.Program(t, "script", "bsdutils")
	s, _ := annotator(t)
	cmd := exec.Command(script, "-qec", "caddy whence annotate --config Caddyfile -o out.log apache_access_10k.log; caddy whence annotate --config Caddyfile < auth.log > out2.log", "/dev/null")
	cmd.Dir, cmd.Env = s.dir, append(s.whenceCommand().Env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`annotating +\d+% .*/2\.4 MB, .*B/s\) \[.*:.*\]`).Match(out) {
		t.Errorf("%v: %q", err, out)
	}
	for name, lines := range map[string]int{"out.log": 10_000, "out2.log": 7121} {
		if log := s.read(name); strings.Count(log, "\n") != lines || strings.Contains(log, "annotating") {
			t.Errorf("%s has %d lines, want %d", name, strings.Count(log, "\n"), lines)
		}
	}
}

// TestAnnotateAtServer asks the running server, which says the same as the files.
func TestAnnotateAtServer(t *testing.T) {
	s, _ := annotator(t)
	config := s.read("Caddyfile")
	s.start(config)
	log := s.read("auth.log")
	here := s.annotate(log)
	for _, there := range []ran{s.whence(log, "annotate"), s.annotate(log, "--ask")} {
		if there.out != here.out || there.code != 0 || there.err != "" {
			t.Errorf("status %d, %d bytes, want %d; %s", there.code, len(there.out), len(here.out), there.err)
		}
	}
	s.whence("8.8.8.8\n", "annotate", "--chain", "lan").wants(t, 1, "", "lan")
	s.stop()
	s.whence("8.8.8.8\n", "annotate").wants(t, 1, "", "name its Caddyfile with --config")
}

// TestAnnotateLive has lines come out as they go in, and ends in order when it is interrupted.
func TestAnnotateLive(t *testing.T) {
	s, _ := annotator(t)
	cmd := s.whenceCommand("annotate", "--config", "Caddyfile", "--fields", "asn")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for i := range 3 {
		fmt.Fprintf(in, "%d 8.8.8.8\n", i)
		if line, err := lines.ReadString('\n'); line != fmt.Sprintf("%d 8.8.8.8[AS15169]\n", i) {
			t.Fatalf("%q (%v)\n%s", line, err, stderr.String())
		}
	}
	cmd.Process.Signal(os.Interrupt)
	rest, _ := io.ReadAll(lines)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || len(rest) > 0 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("status %d, %q, %s", code, rest, stderr.String())
	}

	// Who has read enough goes away; that is no fault.
	cmd = s.whenceCommand("annotate", "--config", "Caddyfile", "apache_access_10k.log")
	stderr.Reset()
	cmd.Stderr = &stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	r.Close()
	err = cmd.Run()
	w.Close()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("writing to who has gone: %v\n%s", err, stderr.String())
	}
}

// TestAnnotateMemory holds that a log four times as long takes no more memory, though each of its addresses comes once and is counted.
func TestAnnotateMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is measured as Linux tells it")
	}
	s, _ := annotator(t)
	most := func(lines uint32) int64 {
		var log []byte
		for i := range lines {
			v := i * 2654435761
			log = append(netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).AppendTo(log), " - GET /\n"...)
		}
		cmd := s.whenceCommand("annotate", "--config", "Caddyfile", "--format", "text", "--summary=top.txt")
		cmd.Env = append(cmd.Env, "GOGC=20") // so that it is what is held, and not what a busy machine has yet to collect
		cmd.Stdin, cmd.Stdout = bytes.NewReader(log), io.Discard
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
	}
	few, many := most(400_000), most(1_600_000)
	if many > few+64 {
		t.Errorf("%d MB for 1,600,000 lines, %d MB for a quarter of them", many, few)
	}
	t.Logf("%d MB for 1,600,000 lines, %d MB for a quarter of them", many, few)
}
