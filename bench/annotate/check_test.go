//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whence-project/whence/bench/internal/child"
)

const log3 = "1.0.0.1 - - \"GET /\" \"8.8.8.8\"\n2.0.0.1 - - \"GET /\"\n3.0.0.1 - - \"GET [/]\"\n"

func TestChecks(t *testing.T) {
	first := strings.NewReplacer("1.0.0.1", "1.0.0.1[AS1 US]", "2.0.0.1", "2.0.0.1[DE]").Replace(log3)
	all := strings.Replace(first, "8.8.8.8", "8.8.8.8[AS15169 US]", 1)
	for _, tt := range []struct {
		name  string
		err   error
		wrong string // what the error names; empty where all is well
	}{
		{"the same", checkSame([]byte(first), []byte(first)), ""},
		{"another line", checkSame([]byte(first), []byte(log3)), "line 1"},
		{"a line less", checkSame([]byte(strings.TrimSuffix(first, "3.0.0.1 - - \"GET [/]\"\n")), []byte(first)), "after line 2"},
		{"the log", checkLog([]byte(all), []byte(log3)), ""},
		{"not the log", checkLog([]byte(strings.Replace(all, "GET", "PUT", 1)), []byte(log3)), "line 1"},
		{"every address", checkAll([]byte(all), []byte(first)), ""},
		{"another client", checkAll([]byte(strings.Replace(all, "[DE]", "[FR]", 1)), []byte(first)), "line 2"},
		{"a client less", checkAll([]byte(log3), []byte(first)), "line 1"},
	} {
		if (tt.err == nil) != (tt.wrong == "") || tt.err != nil && !strings.Contains(tt.err.Error(), tt.wrong) {
			t.Errorf("%s: error %v, want one that names %q", tt.name, tt.err, tt.wrong)
		}
	}
}

func TestLog(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	if err := os.WriteFile(from, []byte(log3), 0o600); err != nil {
		t.Fatal(err)
	}
	size, err := writeLog(to, from, 1000, false)
	b, rerr := os.ReadFile(to)
	if err != nil || rerr != nil || int64(len(b)) != size || bytes.Count(b, []byte("\n")) != 1000 || bytes.Count(b, []byte("8.8.8.8")) != 334 {
		t.Errorf("%d bytes of %d (%v, %v)", len(b), size, err, rerr)
	}
	seen := make(map[string]bool)
	for line := range bytes.Lines(b) {
		client, _, _ := bytes.Cut(line, []byte(" "))
		seen[string(client)] = true
	}
	if len(seen) < 200 || len(seen) > 900 {
		t.Errorf("%d clients in 1,000 lines", len(seen))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		if a := randomAddress(r, i%2 == 0); !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() != (i%2 == 0) {
			t.Fatalf("%v is not public", a)
		}
	}
}

// TestProgram runs programs from a file into another.
func TestProgram(t *testing.T) {
	s, err := child.NewStand()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := &bench{Stand: s, log: filepath.Join(s.Dir, "access.log")}
	if err := os.WriteFile(b.log, []byte(log3), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := b.output(&program{"cat", []string{"sh", "-c", "sleep 0.05; cat"}})
	if err != nil || string(out) != log3 {
		t.Errorf("%q (%v)", out, err)
	}
	if _, err := b.output(&program{"broken", []string{"sh", "-c", "echo no such file >&2; exit 1"}}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v, want an error with what it said", err)
	}
	took, err := (&program{"sleep", []string{"sleep", "0.1"}}).run(os.DevNull, os.DevNull)
	if err != nil || took.memory < 100<<10 || took.elapsed.Milliseconds() < 100 {
		t.Errorf("%+v (%v)", took, err)
	}
}
