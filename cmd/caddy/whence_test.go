package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

// ran is what a command printed, and its exit status.
type ran struct {
	out, err string
	code     int
}

// whence runs caddy whence with the server's admin endpoint as the default one.
func (s *server) whence(stdin string, args ...string) ran {
	s.t.Helper()
	var out, stderr bytes.Buffer
	cmd := s.whenceCommand(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return ran{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (s *server) whenceCommand(args ...string) *exec.Cmd {
	cmd := s.command(append([]string{"whence"}, args...)...)
	cmd.Env = append(cmd.Env, "CADDY_ADMIN=unix/"+s.path("admin.sock"))
	return cmd
}

// wants holds a command's output against words that it must have, and its exit status.
func (r ran) wants(t *testing.T, code int, out, stderr string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, stderr) || stderr == "" && r.err != "" {
		t.Errorf("status %d, want %d; printed\n%s(want %q)\n%s(want %q)", r.code, code, r.out, out, r.err, stderr)
	}
}

// TestLookupCommand looks up in files, of which no server is asked, and at the server.
func TestLookupCommand(t *testing.T) {
	s := newServer(t)
	s.write("records/8.8.8.8", "asn: AS15169\nas_name: Google LLC\ncountry_code: US\n")
	s.write("records/1.1.1.1", "asn: AS13335\nas_name: Cloudflare, Inc.\ncountry_code: AU\n")
	s.write("records/printer.example", "third floor\n")
	config := globals("\tstore ./store\n\tenrich {\n\t\tiana\n\t\trecords ./records\n\t\tsightings\n\t}\n\tenrich lan {\n\t\tiana\n\t}")
	s.write("Caddyfile", config)
	here := func(stdin string, args ...string) ran {
		return s.whence(stdin, append([]string{"lookup", "--config", "Caddyfile"}, args...)...)
	}
	table := "SUBJECT  NETWORK     ASN      AS_NAME     COUNTRY_CODE\n8.8.8.8  8.8.8.8/32  AS15169  Google LLC  US\n"
	here("", "8.8.8.8").wants(t, 0, table, "")
	here("", "printer.example", "AS15169", "010.0.0.1").wants(t, 2, "printer.example           records: third floor\nAS15169          AS15169\n010.0.0.1                 010 could be octal", "")
	here("", "--chain", "lan", "8.8.8.8").wants(t, 2, "SUBJECT  NETWORK\n8.8.8.8  8.0.0.0/8\n", "")
	here("8.8.8.8\n\n192.0.2.1\n", "--form", "cymru", "1.1.1.1", "-", "10.0.0.1").wants(t, 2,
		"AS Name\n13335   | 1.1.1.1          | Cloudflare, Inc.\n15169   | 8.8.8.8          | Google LLC\nNA      | 192.0.2.1        | NA\nNA      | 10.0.0.1 ", "")
	here("8.8.8.8\nx y\n", "--format", "json", "--fields", "asn,country_code,nothing", "-").wants(t, 2,
		`{"subject":"8.8.8.8","asn":"AS15169","country_code":"US"}`+"\n"+`{"subject":"x y","error":"`, "")
	rows, err := csv.NewReader(strings.NewReader(here("8.8.8.8\n", "--format", "csv", "-", "1.1.1.1").out)).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[0][:4], " ") != "subject network asn as_name" || rows[2][3] != "Cloudflare, Inc." {
		t.Errorf("CSV: %q, %v", rows, err)
	}
	for _, tt := range []struct {
		args   []string
		stderr string
	}{
		{nil, "no subject: name some, or - for those on standard input"},
		{[]string{"--format", "xml", "8.8.8.8"}, "there are text, json and csv"},
		{[]string{"--form", "xml", "8.8.8.8"}, "there are: json, whois, lines"},
		{[]string{"--form", "whois", "--format", "csv", "8.8.8.8"}, "leave --format and --fields out"},
		{[]string{"--chain", "none", "8.8.8.8"}, `no enrichment chain is named \"none\"`},
		{[]string{"--config", "none", "8.8.8.8"}, "no such file"},
		{[]string{"--ask", "8.8.8.8"}, "if no server runs, name its Caddyfile with --config"},
	} {
		here("", tt.args...).wants(t, 1, "", tt.stderr)
	}
	if _, err := os.Stat(s.path("store")); err == nil {
		t.Error("the command opened the store")
	}

	s.start(config)
	there := func(stdin string, args ...string) ran {
		return s.whence(stdin, append([]string{"lookup"}, args...)...)
	}
	there("", "8.8.8.8").wants(t, 0, table, "")
	there("8.8.8.8\n", "--ask", "--config", "Caddyfile", "--format", "json", "-").wants(t, 0, `{"subject":"8.8.8.8","kind":"address","network":"8.8.8.8/32","asn":"AS15169",`, "")
	there("", "--form", "whois", "printer.example", "192.0.2.1").wants(t, 2, "third floor\n\n\nroute: 192.0.2.0/24\n", "")
	there("", "--chain", "none", "8.8.8.8").wants(t, 1, "", `no enrichment chain is named`)
	there("", "--wait", "2h", "8.8.8.8").wants(t, 1, "", `at most 1m0s`)
	for args, want := range map[string]string{"lookup --form ": "whois\nlines\naligned\ncymru\n", "lookup --fields asn,": "asn,country_code\n"} {
		out, err := s.command(append([]string{"__complete", "whence"}, strings.Split(args, " ")...)...).Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("completing %q: %v, %q", args, err, out)
		}
	}
	many := strings.Repeat("8.8.8.8\n1.1.1.1\n", 1000)
	if out := there(many, "--format", "csv", "--fields", "asn", "-").out; strings.Count(out, "8.8.8.8,AS15169\n") != 1000 || strings.Count(out, "\n") != 2001 {
		t.Errorf("%d lines of 2,000", strings.Count(out, "\n")-1)
	}
	if status := s.get("/whence/status"); !strings.Contains(status, `"ledger":{"names":0,`) {
		t.Errorf("asking was seeing: %s", status)
	}
}

// TestLookupCommandAnswersAsLinesCome has somebody type: each line is answered before the next.
func TestLookupCommandAnswersAsLinesCome(t *testing.T) {
	s := newServer(t)
	s.write("Caddyfile", globals(""))
	cmd := s.whenceCommand("lookup", "--config", "Caddyfile", "--format", "json", "--fields", "special_purpose", "-")
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
	r := bufio.NewReader(out)
	for _, subject := range []string{"10.0.0.1", "127.0.0.1"} {
		io.WriteString(in, subject+"\n")
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"subject":"`+subject+`","special_purpose":"`) {
			t.Errorf("%s: %q, %v", subject, line, err)
		}
	}
	in.Close()
	cmd.Wait() // status 2: only IANA knows them
}

// TestStatusCommand shows how a server is that has a database and lacks another.
func TestStatusCommand(t *testing.T) {
	s := newServer(t)
	s.copyFile(testenv.Path(t, "mmdb", "asn-country-ipv4only.mmdb"), "data/lite.mmdb")
	s.whence("", "status").wants(t, 1, "", "asking the server at unix/")
	s.start(globals("\tstore ./store\n\tenrich {\n\t\tiana\n\t\tmmdb ./data/lite.mmdb ./data/other.mmdb\n\t\tsightings\n\t}"))
	s.whence("", "status", "--check").wants(t, 0, "healthy\nwarning  default/mmdb  "+s.path("data/other.mmdb")+": no database there yet; watched\n", "")
	text := s.whence("", "status").out
	for _, want := range []string{"compiled in\n", "\nCHAIN    SOURCE", s.path("data/lite.mmdb") + "\n", "  missing  ", "STORE\ncache   0 entries"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s.whence("", "status", "--check", "--max-age", "1d").wants(t, 1, "NOT HEALTHY\n", "not healthy: default/mmdb: lite.mmdb: made ")
	var all struct {
		Healthy bool
		Chains  map[string][]struct{ Name string }
	}
	if err := json.Unmarshal([]byte(s.whence("", "status", "--format", "json").out), &all); err != nil || !all.Healthy || len(all.Chains["default"]) != 3 {
		t.Errorf("JSON: %+v, %v", all, err)
	}
	rows, err := csv.NewReader(strings.NewReader(s.whence("", "status", "--format", "csv").out)).ReadAll()
	if err != nil || len(rows) != 8 || strings.Join(rows[3][:4], " ") != "data default/mmdb "+s.path("data/other.mmdb")+" missing" {
		t.Errorf("CSV: %q, %v", rows, err)
	}
	s.whence("", "status", "--format", "xml").wants(t, 1, "", "there are text, json and csv")
	s.whence("", "status", "--max-age", "old").wants(t, 1, "", "max_age=old: want a duration")
}

// TestPreloadCommand preloads on the running server, is interrupted, and goes on.
func TestPreloadCommand(t *testing.T) {
	s, f := startAdmin(t)
	s.whence("", "preload").wants(t, 1, "", "no preload is under way; start one with --top or a file")
	s.whence("", "preload", "--top", "3", "--stop").wants(t, 1, "", "want one of --top, a file, and --stop")
	s.whence("", "preload", "--stop").wants(t, 1, "", "no preload is under way in the chain default")
	s.whence("", "preload", "--top", "20", "--delay", "0s").wants(t, 0, "finished: 20 of 20 names, 0 failed, took ", "")
	s.whence("", "preload", "--top", "20").wants(t, 0, "finished: 20 of 20 names, 0 failed, 20 were done before, took ", "")
	s.whence("", "preload", "--format", "csv").wants(t, 0, "chain,state,names,done,failed,resumed,rate,left\ndefault,finished,20,20,0,20,0,0\n", "")
	s.whence("tulip1.com\nnothing?\n", "preload", "-").wants(t, 0, "finished: 1 of 1 names", "1 lines are no names\n")
	s.whence("", "preload").wants(t, 0, "finished: 1 of 1 names", "")

	release := f.Hold("one")
	defer release()
	s.whence("", "preload", "--top", "60", "--delay", "0s", "--detach", "--format", "json").wants(t, 0, `{"chain":"default","state":"`, "")
	s.whence("", "preload", "--top", "50").wants(t, 1, "", "a preload is under way already")
	follow := s.whenceCommand("preload")
	told := new(logLines)
	follow.Stderr = told
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	told.wait(t, 1, "running: ", " of 60 names")
	follow.Process.Signal(os.Interrupt)
	if follow.Wait(); follow.ProcessState.ExitCode() != 130 || !strings.Contains(told.String(), "interrupted; the server goes on") {
		t.Errorf("status %d: %s", follow.ProcessState.ExitCode(), told)
	}
	release()
	s.whence("", "preload").wants(t, 0, "finished: 60 of 60 names, 0 failed, ", "")
	s.whence("", "status").wants(t, 0, "PRELOAD  STATE", "")
}
