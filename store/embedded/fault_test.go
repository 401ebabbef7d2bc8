package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/internal/testdata"
	"github.com/whence-project/whence/store"
)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// wantClaim claims and wants that result.
func wantClaim(t *testing.T, s *Store, name string, want store.Result) store.Sighting {
	t.Helper()
	r, got := s.Ledger().Claim("stats", name, start)
	if r != want {
		t.Fatalf("claim of %q: %v, want %v", name, r, want)
	}
	return got
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	_, err := Open(filepath.Join(dir, "."), Options{})
	var use *InUseError
	if !errors.As(err, &use) || use.Dir != dir || use.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Errorf("opened twice: %v", err)
	}
	// Another process says so too, and takes nothing.
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir+"|0")
	out, err := cmd.Output()
	want := fmt.Sprintf("error the store in %s is in use by process %d; stop it, or use another folder\n", dir, os.Getpid())
	if err == nil || string(out) != want {
		t.Errorf("another process: %v, %q, want %q", err, out, want)
	}
	wantClaim(t, s, "example.org", store.First)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	wantClaim(t, s, "example.org", store.Seen)
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("opened a file: %v", err)
	}
	s := open(t, dir, Options{})
	err := s.ledger.db.Update(func(tx *bbolt.Tx) error { return putNumber(tx.Bucket(bucketMeta), metaVersion, ledgerVersion+1) })
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(filepath.Join(dir, ledgerFile))
	var version *VersionError
	if _, err := Open(dir, Options{}); !errors.As(err, &version) || version.Version != ledgerVersion+1 {
		t.Errorf("opened a newer database: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, ledgerFile)); !bytes.Equal(before, after) {
		t.Error("the newer database was changed")
	}
}

// TestDamaged damages the databases in many ways. The store opens, says what it did, keeps the damaged file, and works.
func TestDamaged(t *testing.T) {
	whole := t.TempDir()
	s := open(t, whole, Options{})
	for i := range 3000 {
		wantClaim(t, s, name(i), store.First)
		s.Cache().Put("b", name(i), []byte("value"), time.Time{})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite := func(from, to float64, with byte) func([]byte) []byte {
		return func(b []byte) []byte {
			i, j := int(from*float64(len(b))), int(to*float64(len(b)))
			copy(b[i:j], bytes.Repeat([]byte{with}, j-i))
			return b
		}
	}
	for damage, change := range map[string]func([]byte) []byte{
		"rubbish":      func([]byte) []byte { return []byte(strings.Repeat("rubbish ", 5000)) },
		"short":        func([]byte) []byte { return []byte("short") },
		"truncated":    func(b []byte) []byte { return b[:len(b)/2] },
		"metas only":   func(b []byte) []byte { return b[:2*os.Getpagesize()] },
		"zeros":        overwrite(0, 1, 0),
		"zeros within": overwrite(0.1, 0.9, 0),
		"ones within":  overwrite(0.1, 0.9, 0xff),
		"a page":       overwrite(0.5, 0.52, 0x55),
	} {
		for _, file := range []string{ledgerFile, cacheFile} {
			t.Run(damage+"/"+file, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				damaged := change(bytes.Clone(b))
				if err := os.WriteFile(filepath.Join(dir, file), damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				core, logs := observer.New(zap.WarnLevel)
				s := open(t, dir, Options{Logger: zap.New(core), Now: at(start)})
				aside := filepath.Join(dir, file+".corrupt-20261121T120000.000Z")
				if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, damaged) {
					t.Errorf("what was moved aside: %d bytes, %v", len(kept), err)
				}
				if logs.Len() != 1 || logs.All()[0].ContextMap()["moved_to"] != aside {
					t.Errorf("log: %v", logs.All())
				}
				want := store.Seen
				if file == ledgerFile {
					want = store.First
				}
				wantClaim(t, s, name(0), want)
				if _, _, ok := s.Cache().Get("b", name(0)); ok != (file == ledgerFile) {
					t.Errorf("cached: %v", ok)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, dir, Options{Logger: zap.New(core)})
				wantClaim(t, s, name(0), store.Seen)
				if logs.Len() != 1 {
					t.Errorf("log of the next start: %v", logs.All())
				}
			})
		}
	}
}

// Any few bytes may be damaged: the store opens and works, with what it had or anew.
func TestDamagedAnywhere(t *testing.T) {
	whole := t.TempDir()
	s := open(t, whole, Options{})
	for i := range 3000 {
		wantClaim(t, s, name(i), store.First)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(whole, ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	anew := 0
	for i := range 40 {
		damaged, length := bytes.Clone(b), 1+random.IntN(64)
		at := random.IntN(len(b) - length)
		if i%2 == 0 { // in the head of a page, where its size and its elements are
			at -= at%os.Getpagesize() - random.IntN(32)
		}
		for j := range length {
			damaged[at+j] = byte(random.Uint32())
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ledgerFile), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("%d bytes at %d: %v", length, at, err)
		}
		if s.Ledger().Len("stats") == 0 {
			anew++
		}
		wantClaim(t, s, "new.example.org", store.First)
		if err := s.Close(); err != nil {
			t.Errorf("%d bytes at %d: %v", length, at, err)
		}
	}
	if anew == 0 || anew == 40 {
		t.Errorf("%d of 40 began anew", anew)
	}
}

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
		testdata.Skip(t, "needs a file system of its own: %v: %s", err, out)
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

func TestMaxNames(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s := open(t, t.TempDir(), Options{MaxNames: 3, Logger: zap.New(core)})
	l := s.Ledger()
	for i := range 3 {
		wantClaim(t, s, name(i), store.First)
	}
	for range 2 {
		wantClaim(t, s, name(3), store.Unknown)
		wantClaim(t, s, name(0), store.Seen)
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if logs.Len() != 1 || !strings.Contains(l.Status().Error, store.ErrFull.Error()) {
		t.Errorf("log %v, status %+v", logs.All(), l.Status())
	}
	list := func(yield func(store.Sighting) bool) {
		_ = yield(store.Sighting{Name: name(1), First: start.Add(-time.Hour)}) && yield(store.Sighting{Name: name(4)})
	}
	if added, known, err := l.Import(t.Context(), "stats", list); added != 0 || known != 1 || !errors.Is(err, store.ErrFull) {
		t.Errorf("imported %d, known %d, %v", added, known, err)
	}
	if n, err := l.Forget(t.Context(), "stats", name(2)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	wantClaim(t, s, name(3), store.First)
	if st := l.Status(); st.Error != "" || st.Names != 3 {
		t.Errorf("status %+v", st)
	}
}

func TestMaxEvents(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s := open(t, t.TempDir(), Options{MaxEvents: 10, Logger: zap.New(core)})
	for i := range 25 {
		wantClaim(t, s, name(i), store.First)
		if i%5 == 4 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := s.Ledger().Pending("stats", 0, 100)
	if err != nil || len(list) != 10 || list[0].Name != name(15) {
		t.Errorf("%d pending, %v", len(list), err)
	}
	if st := s.Ledger().Status(); st.Events != 10 || st.EventsDropped != 15 || logs.Len() != 1 {
		t.Errorf("status %+v, log %v", st, logs.All())
	}
}

func TestBacklog(t *testing.T) {
	s := open(t, t.TempDir(), Options{maxUnfolded: 2})
	wantClaim(t, s, "a", store.First)
	wantClaim(t, s, "b", store.First)
	wantClaim(t, s, "c", store.Unknown)
	wantClaim(t, s, "a", store.Seen)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	wantClaim(t, s, "c", store.First)
	if st := s.Ledger().Status(); st.Error != "" || st.Unknown != 1 {
		t.Errorf("status %+v", st)
	}
}

// TestFoldedWhileRead claims, looks up, exports and takes first contacts while folds go on, for the race detector too.
func TestFoldedWhileRead(t *testing.T) {
	s := open(t, t.TempDir(), Options{FoldNames: 50, maxUnfolded: 1e6})
	l := s.Ledger()
	const n = 3000
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range n {
				k := name((i*(2*g+1) + g) % n)
				if r, _ := l.Lookup("stats", k); r == store.Unknown {
					t.Error("lookup: unknown")
				}
				switch r, s := l.Claim("stats", k, start); r {
				case store.First:
					firsts.Add(1)
					if err := l.Done(s.Event); err != nil {
						t.Error(err)
					}
				case store.Unknown:
					t.Error("claim: unknown")
				}
			}
		})
	}
	wg.Go(func() {
		last := 0
		for range 20 {
			got := 0
			for s, err := range l.All(t.Context(), "stats", "") {
				if err != nil || s.First.IsZero() {
					t.Error(s, err)
				}
				got++
			}
			if got < last {
				t.Errorf("exported %d after %d", got, last)
			}
			last = got
		}
	})
	wg.Wait()
	if firsts.Load() != n || l.Len("stats") != n {
		t.Errorf("%d first of %d names, %d in all", firsts.Load(), n, l.Len("stats"))
	}
	if list, err := l.Pending("stats", 0, n); len(list) != 0 || err != nil {
		t.Errorf("%d pending, %v", len(list), err)
	}
}

func TestFilter(t *testing.T) {
	const n = 100_000
	s := open(t, t.TempDir(), Options{})
	f := newFilter(n)
	sc := s.ledger.scopes.intern("stats")
	for i := range n {
		f.add(s.ledger.hash(sc, name(i)))
	}
	wrong := 0
	for i := range n {
		if !f.has(s.ledger.hash(sc, name(i))) {
			t.Fatal("a name that was added is not there")
		}
		if f.has(s.ledger.hash(sc, name(n+i))) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d others are taken for known", wrong, n)
	}
	t.Logf("%d of %d others are taken for known", wrong, n)
}

// The filter is made larger before it is too full to be of use.
func TestFilterGrows(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.ledger.known.Store(newFilter(10))
	for i := range 100 {
		wantClaim(t, s, name(i), store.First)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := s.ledger.known.Load().capacity; got != 200 || s.Ledger().Len("stats") != 100 {
		t.Errorf("room for %d, %d names", got, s.Ledger().Len("stats"))
	}
	for i := range 100 {
		wantClaim(t, s, name(i), store.Seen)
	}
}

// The real list has names of every form that there is.
func TestRealNames(t *testing.T) {
	b, err := os.ReadFile(testdata.Path(t, "dns", "names-33k.txt"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, t.TempDir(), Options{FoldNames: 1000, maxUnfolded: 1e6})
	want := make(map[string]bool)
	for line := range strings.Lines(string(b)) {
		n := strings.TrimSpace(line)
		if n == "" {
			continue
		}
		r := store.First
		if want[n] {
			r = store.Seen
		}
		wantClaim(t, s, n, r)
		want[n] = true
	}
	got := 0
	for s, err := range s.Ledger().All(t.Context(), "stats", "") {
		if err != nil || !want[s.Name] {
			t.Fatal(s, err)
		}
		got++
	}
	if got != len(want) {
		t.Errorf("%d names, want %d", got, len(want))
	}
}
