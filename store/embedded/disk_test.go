package embedded

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/internal/testenv"
	"github.com/whence-project/whence/store"
)

// disk is a disk whose files fail when it is full.
type disk struct {
	full   atomic.Bool
	broken atomic.Bool // nothing can be synced
}

func (d *disk) create(name string) (file, error) {
	if d.full.Load() {
		return nil, errFull
	}
	f, err := createFile(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

type diskFile struct {
	file
	disk *disk
}

func (f *diskFile) Write(b []byte) (int, error) {
	if f.disk.full.Load() {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, errFull
	}
	return f.file.Write(b)
}

func (f *diskFile) Sync() error {
	if f.disk.broken.Load() {
		return errors.New("input/output error")
	}
	return f.file.Sync()
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	var d disk
	core, logs := observer.New(zap.InfoLevel)
	opt := Options{Logger: zap.New(core), Now: at(start), createJournal: d.create}
	s := open(t, dir, opt)
	wantClaim(t, s, "folded.example.org", store.First)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	event := wantClaim(t, s, "fresh.example.org", store.First).Event
	d.full.Store(true)
	for range 3 {
		wantClaim(t, s, "folded.example.org", store.Seen)
		wantClaim(t, s, "fresh.example.org", store.Seen)
		wantClaim(t, s, "new.example.org", store.Unknown)
		if err := s.Ledger().Done(event); !errors.Is(err, errFull) {
			t.Errorf("done on a full disk: %v", err)
		}
		if err := s.Flush(); !errors.Is(err, errFull) {
			t.Errorf("fold on a full disk: %v", err)
		}
	}
	st := s.Ledger().Status()
	if !strings.Contains(st.Error, "journal cannot be written") || !st.Since.Equal(start) || st.Unknown != 3 {
		t.Errorf("status %+v", st)
	}
	if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 2 { // the journal and the database
		t.Errorf("%d lines in the log: %v", n, logs.All())
	}
	if list, err := s.Ledger().Pending("stats", 0, 10); len(list) != 2 || err != nil {
		t.Errorf("pending %v, %v", list, err)
	}
	d.full.Store(false)
	wantClaim(t, s, "new.example.org", store.First)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if st := s.Ledger().Status(); st.Error != "" {
		t.Errorf("status with room again: %+v", st)
	}
	if n := logs.FilterMessageSnippet("no longer").Len(); n != 2 {
		t.Errorf("log: %v", logs.All())
	}

	// The same at the start: what is known is answered, and it recovers.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.full.Store(true)
	s = open(t, dir, opt)
	wantClaim(t, s, "fresh.example.org", store.Seen)
	wantClaim(t, s, "newer.example.org", store.Unknown)
	d.full.Store(false)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	wantClaim(t, s, "newer.example.org", store.First)
}

// TestFullDiskOfReal fills a small file system, so that the databases and the journal find it full wherever they do.
func TestFullDiskOfReal(t *testing.T) {
	dir := t.TempDir()
	mount := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", dir)
	if out, err := mount.CombinedOutput(); err != nil {
		testenv.Skip(t, "needs a file system of its own: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	s, err := Open(dir, Options{FoldNames: 500, maxUnfolded: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	firsts := make(map[string]bool)
	refused := 0
	for i := 0; refused < 2000; i++ {
		switch r, _ := s.Ledger().Claim("stats", name(i), start); r {
		case store.First:
			firsts[name(i)] = true
		case store.Unknown:
			refused++
		}
	}
	if len(firsts) < 5000 || s.Ledger().Status().Error == "" {
		t.Fatalf("%d names on a disk of 6 MB, %+v", len(firsts), s.Ledger().Status())
	}
	all := func() {
		t.Helper()
		for name := range firsts {
			if r, _ := s.Ledger().Claim("stats", name, start); r != store.Seen {
				t.Fatalf("%s is %v", name, r)
			}
		}
	}
	all()
	_ = s.Close() // fails to write, and keeps what it has
	if s, err = Open(dir, Options{FoldNames: 500, maxUnfolded: 1e6}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all()
	if out, err := exec.Command("mount", "-o", "remount,size=60m", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	wantClaim(t, s, "new.example.org", store.First)
	all()
	if st := s.Ledger().Status(); st.Error != "" || st.Names != len(firsts)+1 || st.Events != st.Names {
		t.Errorf("status with room again: %+v, want %d names", st, len(firsts)+1)
	}
}

func TestSyncFails(t *testing.T) {
	var d disk
	s := open(t, t.TempDir(), Options{createJournal: d.create, SyncEvery: time.Millisecond})
	d.broken.Store(true)
	wantClaim(t, s, "example.org", store.First)
	eventually(t, func() bool { return strings.Contains(s.Ledger().Status().Error, "cannot be synced") })
	d.broken.Store(false)
	wantClaim(t, s, "example.net", store.First)
	eventually(t, func() bool { return s.Ledger().Status().Error == "" })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about")
		}
	}
}
