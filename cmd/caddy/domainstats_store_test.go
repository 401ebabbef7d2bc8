package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// eventLines are the numbers of the first contacts in the log, by name.
func eventLines(t *testing.T, log string) map[string][]uint64 {
	t.Helper()
	events := make(map[string][]uint64)
	for _, line := range matching(log, []string{`"msg":"first contact"`}) {
		var entry struct {
			Name  string
			Event uint64
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("log line %s: %v", line, err)
		}
		events[entry.Name] = append(events[entry.Name], entry.Event)
	}
	return events
}

// TestKillLosesNoFirstContact kills the server with kill -9 in the midst of new names: what was answered as a first contact is not
// answered so again, and has its line in the log by then; a line that was written as the server died may come again, with its
// number.
func TestKillLosesNoFirstContact(t *testing.T) {
	const names, kills = 3000, 5
	s, _ := startDomainStats(t, "")
	var told [names]atomic.Int32
	for round := range kills + 1 {
		c := s.client("site")
		var wg sync.WaitGroup
		var asked atomic.Int64
		half := make(chan struct{})
		for worker := range 16 {
			wg.Go(func() {
				for i := worker; i < names; i += 16 {
					_, body, err := fetch(c, fmt.Sprintf("/k%d.org", i))
					if err != nil {
						return // the server is gone
					}
					if strings.Contains(body, firstContact) {
						told[i].Add(1)
					}
					if asked.Add(1) == names*int64(round+1)/(kills+2) {
						close(half)
					}
				}
			})
		}
		if round < kills {
			<-half
			s.kill()
		}
		wg.Wait()
		if round < kills {
			s.start(domainStats(""))
		}
	}
	eventually(t, "a line for each name", func() bool { return len(eventLines(t, s.log.String())) == names })
	events, repeated := eventLines(t, s.log.String()), 0
	for i := range told {
		name := fmt.Sprintf("k%d.org", i)
		// A claim may be with the system and its answer not with the client, when the server dies.
		if n := told[i].Load(); n > 1 {
			t.Errorf("%d first contacts of %s", n, name)
		}
		for _, e := range events[name] {
			if e != events[name][0] {
				t.Errorf("%s has the events %d", name, events[name])
				break
			}
		}
		repeated += len(events[name]) - 1
	}
	t.Logf("%d lines came again with their number, over %d kills", repeated, kills)
}

// TestSecondProcessOnStore starts a second server on the store of the first.
func TestSecondProcessOnStore(t *testing.T) {
	first, c := startDomainStats(t, "")
	mustFetch(t, c, "/example.org")
	second := newServer(t)
	store := first.path("caddy/whence")
	second.write("Caddyfile", globals("\tstore "+store)+unixSite("site", ""))
	out, err := second.command("run", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput()
	if err == nil {
		t.Fatalf("the second server ran:\n%s", out)
	}
	if want := fmt.Sprintf("the store in %s is in use by process %d", store, first.cmd.Process.Pid); !strings.Contains(string(out), want) {
		t.Errorf("no %q in:\n%s", want, out)
	}
	if n := contacts(t, c, "/example.org", 10) + contacts(t, c, "/example.net", 10); n != 1 {
		t.Errorf("the first server told %d first contacts of one new name", n)
	}
}

// TestValidateOpensNoStore validates a configuration with a store, and finds nothing made by it.
func TestValidateOpensNoStore(t *testing.T) {
	s := newServer(t)
	s.write("Caddyfile", domainStats(""))
	if out, err := s.command("validate", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(s.path("caddy/whence")); !os.IsNotExist(err) {
		t.Errorf("the store's folder: %v", err)
	}
}

// TestCorruptLedger starts on a ledger that something has written over.
func TestCorruptLedger(t *testing.T) {
	s, c := startDomainStats(t, "")
	mustFetch(t, c, "/example.org")
	s.stop()
	ledger := s.path("caddy/whence/ledger.db")
	f, err := os.OpenFile(ledger, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	if _, err := f.WriteAt([]byte(strings.Repeat("\xee", int(info.Size()))), 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s.start(domainStats(""))
	line := s.log.wait(t, 1, `"level":"error"`, `"logger":"store"`, "moved aside", ledger)
	aside, _ := filepath.Glob(ledger + ".corrupt-*")
	if len(aside) != 1 || !strings.Contains(line, aside[0]) {
		t.Errorf("moved aside to %q; the log line is %s", aside, line)
	}
	if n := contacts(t, c, "/example.org", 10); n != 1 {
		t.Errorf("%d first contacts in the new ledger", n)
	}
}

// TestFullDiskOfStore has the store on a file system that runs full: known names are answered as ever, new ones without a first
// contact, and when there is room they have it.
func TestFullDiskOfStore(t *testing.T) {
	s := newServer(t)
	dir := s.path("disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		testenv.Skip(t, "no small file system can be mounted here, which takes root: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	s.start(strings.Replace(domainStats(""), "\tenrich {", "\tstore ./disk/store\n\tenrich {", 1))
	c := s.client("site")
	mustFetch(t, c, "/example.org")
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk does not run full")
	}
	// What the journal's last page has room for is still taken.
	var refused string
	for i := range 1000 {
		if body := mustFetch(t, c, fmt.Sprintf("/%s%d.org", strings.Repeat("x", 40), i)); !strings.Contains(body, firstContact) {
			refused = fmt.Sprintf("/%s%d.org", strings.Repeat("x", 40), i)
			if !strings.Contains(body, "First contact is not known now") || !strings.Contains(body, `"seen_by_you":"ERROR"`) {
				t.Errorf("a new name on a full disk: %s", body)
			}
			break
		}
	}
	if refused == "" {
		t.Fatal("1000 new names on a full disk")
	}
	s.log.wait(t, 1, `"level":"error"`, `"logger":"store"`, "no space left on device")
	if body := mustFetch(t, c, "/example.org"); strings.Contains(body, firstContact) || strings.Contains(body, `"seen_by_you":"ERROR"`) {
		t.Errorf("a known name on a full disk: %s", body)
	}
	if body := mustFetch(t, c, "/v1/lookup/example.org"); !strings.Contains(body, `"first_seen"`) {
		t.Errorf("a lookup on a full disk: %s", body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "new names are taken again", func() bool {
		return strings.Contains(mustFetch(t, c, refused), firstContact)
	})
	s.log.wait(t, 1, `"logger":"store"`, `"msg":"no longer: `)
	if n := contacts(t, c, refused, 10); n != 0 {
		t.Errorf("%d first contacts after the first", n)
	}
}

// TestReloadUnderContacts reloads a hundred times under load: no request fails, each name has one first contact, nothing piles up.
// Caddy's HTTP server closes some connections that are made while it is reloaded, before a request is read from them, with any
// handler; such a request is made again. Had one of them claimed a name, its first contact would be missing here.
func TestReloadUnderContacts(t *testing.T) {
	const clients, names, reloads = 32, 2000, 100
	s, c := startDomainStats(t, "")
	var next, failed, lost atomic.Int64
	var told [names]atomic.Int32
	var problem atomic.Pointer[string]
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := next.Add(1)
				// New names come along as it goes, and are asked for by several at once.
				i := int(n/8+n%8*n/16) % names
				status, body, err := fetch(c, fmt.Sprintf("/r%d.org", i))
				for tries := 1; err != nil && tries < 200; tries++ { // reloads follow each other faster than anybody's would
					lost.Add(1)
					time.Sleep(time.Millisecond)
					status, body, err = fetch(c, fmt.Sprintf("/r%d.org", i))
				}
				if err != nil || status != http.StatusOK || !strings.Contains(body, ` GMT"}`) {
					failed.Add(1)
					msg := fmt.Sprintf("%d %q (%v)", status, body, err)
					problem.CompareAndSwap(nil, &msg)
				}
				if strings.Contains(body, firstContact) {
					told[i].Add(1)
				}
			}
		})
	}
	var after10 usage
	for i := 1; i <= reloads; i++ {
		if err := s.load(domainStats(fmt.Sprintf("\t\tbrowse_limit %d", i))); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
		if i == 10 {
			after10 = s.usage(clients)
		}
	}
	atEnd := s.usage(clients)
	close(stop)
	wg.Wait()
	for i := range told { // those that the draw left out, too
		if strings.Contains(mustFetch(t, c, fmt.Sprintf("/r%d.org", i)), firstContact) {
			told[i].Add(1)
		}
	}
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", failed.Load(), next.Load(), *problem.Load())
	}
	for i := range told {
		if n := told[i].Load(); n != 1 {
			t.Errorf("%d first contacts of r%d.org", n, i)
		}
	}
	if next.Load() < 10*reloads {
		t.Errorf("%d requests over %d reloads are no load", next.Load(), reloads)
	}
	t.Logf("%d requests over %d reloads, %d connections closed unanswered; %+v after 10, %+v at the end",
		next.Load(), reloads, lost.Load(), after10, atEnd)
	if atEnd.goroutines > after10.goroutines+3*clients || atEnd.files > after10.files+clients {
		t.Errorf("%+v after 10 reloads became %+v after %d", after10, atEnd, reloads)
	}
	eventually(t, "a line for each name", func() bool { return len(eventLines(t, s.log.String())) == names })
	for name, events := range eventLines(t, s.log.String()) {
		if len(events) != 1 {
			t.Errorf("%s has %d lines in the log", name, len(events))
		}
	}
}
