package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/internal/testenv"
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
	b, err := os.ReadFile(testenv.Path(t, "dns", "names-33k.txt"))
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
