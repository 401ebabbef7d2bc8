package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/store"
)

// memory is a journal's file in memory that fails as told.
type memory struct {
	bytes.Buffer
	room     int   // bytes until the disk is full; -1 is no limit
	truncate error // what Truncate returns
}

func (m *memory) Write(b []byte) (int, error) {
	if m.room >= 0 && m.Len()+len(b) > m.room {
		n, _ := m.Buffer.Write(b[:max(m.room-m.Len(), 0)])
		return n, errFull
	}
	return m.Buffer.Write(b)
}

func (m *memory) Truncate(size int64) error {
	if m.truncate == nil {
		m.Buffer.Truncate(int(size))
	}
	return m.truncate
}

func (m *memory) Sync() error  { return nil }
func (m *memory) Close() error { return nil }

var errFull = errors.New("no space left on device")

// journalOf is a journal in memory.
func journalOf(m *memory) *journal {
	m.Buffer.WriteString(journalMagic + "\x00\x01")
	return &journal{f: m, number: 1, size: int64(journalHeader)}
}

// sample is a journal of three records, and where each begins.
func sample(t testing.TB) (b []byte, want []record, at []int) {
	m := &memory{room: -1}
	j := journalOf(m)
	want = []record{
		{kind: kindClaim, event: 7, ms: 1_800_000_000_000, scope: "stats", name: "example.org"},
		{kind: kindDone, done: []uint64{7, 1 << 60}},
		{kind: kindClaim, event: 0, ms: 1, scope: strings.Repeat("s", store.MaxScope), name: strings.Repeat("n", store.MaxName)},
	}
	for _, r := range want {
		at = append(at, m.Len())
		var err error
		if r.kind == kindDone {
			err = j.done(r.done)
		} else {
			err = j.claim(r.scope, r.name, r.event, r.ms)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return m.Bytes(), want, at
}

func scanned(b []byte) (got []record, skipped, cut int) {
	skipped, cut = scan(b, func(r record) { got = append(got, r) })
	return got, skipped, cut
}

func TestScan(t *testing.T) {
	b, want, at := sample(t)
	if got, skipped, cut := scanned(b); !reflect.DeepEqual(got, want) || skipped != 0 || cut != 0 {
		t.Fatalf("%+v, %d skipped, %d cut", got, skipped, cut)
	}
	// What a killed process wrote of its last record, be it nothing or all but a byte.
	for end := at[2]; end < len(b); end++ {
		if got, skipped, cut := scanned(b[:end]); !reflect.DeepEqual(got, want[:2]) || skipped != 0 || cut != end-at[2] {
			t.Fatalf("torn at %d: %+v, %d skipped, %d cut", end, got, skipped, cut)
		}
	}
	// After a power cut there may be zeros behind.
	if got, _, cut := scanned(append(slices.Clone(b), make([]byte, 5000)...)); !reflect.DeepEqual(got, want) || cut != 5000 {
		t.Errorf("zeros behind: %+v, %d cut", got, cut)
	}
	// A byte that is not what was written costs its record and no other.
	for i := journalHeader; i < len(b); i++ {
		for _, bit := range []byte{1, 0x80} {
			broken := slices.Clone(b)
			broken[i] ^= bit
			_, hit := slices.BinarySearch(at, i)
			n, _ := slices.BinarySearch(at, i+1)
			rest := slices.Delete(slices.Clone(want), n-1, n)
			got, skipped, cut := scanned(broken)
			if !reflect.DeepEqual(got, rest) || (skipped > 0) != (n < 3) || (cut > 0) != (n == 3) {
				t.Fatalf("byte %d (first of a record: %v): %d records, %d skipped, %d cut", i, hit, len(got), skipped, cut)
			}
		}
	}
}

func TestDoneOfMany(t *testing.T) {
	m := &memory{room: -1}
	j := journalOf(m)
	var want, got []uint64
	for i := range uint64(5000) {
		want = append(want, 1<<63+i)
	}
	if err := j.done(want); err != nil {
		t.Fatal(err)
	}
	if skipped, cut := scan(m.Bytes(), func(r record) { got = append(got, r.done...) }); skipped+cut != 0 || !slices.Equal(got, want) {
		t.Errorf("%d events, %d bytes lost", len(got), skipped+cut)
	}
}

// A record that did not fit is cut off again, or at the next try, and what comes after it is whole.
func TestJournalFull(t *testing.T) {
	m := &memory{room: -1}
	j := journalOf(m)
	whole := func(want ...string) {
		t.Helper()
		var got []string
		skipped, cut := scan(m.Bytes(), func(r record) { got = append(got, r.name) })
		if skipped+cut != 0 || !slices.Equal(got, want) {
			t.Errorf("%q, %d skipped, %d cut, want %q", got, skipped, cut, want)
		}
	}
	claim := func(name string) error { return j.claim("stats", name, 1, 1) }
	if err := claim("a"); err != nil {
		t.Fatal(err)
	}
	for room := m.Len(); room < m.Len()+15; room++ {
		m.room = room
		if err := claim("b"); !errors.Is(err, errFull) {
			t.Fatalf("with room for %d: %v", room, err)
		}
		whole("a")
	}
	m.room, m.truncate = m.Len()+5, errors.New("read-only file system")
	for range 3 {
		if err := claim("c"); err == nil {
			t.Fatal("wrote a record behind part of another")
		}
	}
	m.room, m.truncate = -1, nil
	if err := claim("d"); err != nil {
		t.Fatal(err)
	}
	whole("a", "d")
}

// journalIn writes a journal into a folder whose store is closed, as a killed process leaves it.
func journalIn(t *testing.T, dir string, b []byte) string {
	t.Helper()
	name := journalName(dir, 1000)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReplay(t *testing.T) {
	b, _, at := sample(t)
	flipped := func(i int) []byte {
		b := slices.Clone(b)
		b[i] ^= 1
		return b
	}
	newer := slices.Clone(b)
	newer[len(journalMagic)+1] = journalVersion + 1
	long := strings.Repeat("n", store.MaxName)
	for name, tt := range map[string]struct {
		journal     []byte
		first, last bool // of the two names are known
		level       zapcore.Level
	}{
		"whole":      {b, true, true, zap.InfoLevel},
		"torn":       {b[:len(b)-1], true, false, zap.InfoLevel},
		"headless":   {b[:5], false, false, zap.InfoLevel},
		"empty":      {nil, false, false, zap.InfoLevel},
		"damaged":    {flipped(at[0] + 10), false, true, zap.ErrorLevel},
		"no journal": {flipped(3), true, true, zap.ErrorLevel},
		"rubbish":    {bytes.Repeat([]byte{kindClaim}, 1000), false, false, zap.ErrorLevel},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := journalIn(t, dir, tt.journal)
			core, logs := observer.New(zap.WarnLevel)
			s := open(t, dir, Options{Logger: zap.New(core)})
			l := s.Ledger()
			if r, _ := l.Lookup("stats", "example.org"); (r == store.Seen) != tt.first {
				t.Errorf("the first name: %v", r)
			}
			if r, _ := l.Lookup(strings.Repeat("s", store.MaxScope), long); (r == store.Seen) != tt.last {
				t.Errorf("the last name: %v", r)
			}
			if list, err := l.Pending("stats", 0, 10); len(list) != 0 || err != nil {
				t.Errorf("pending %+v, %v", list, err)
			}
			aside, _ := filepath.Glob(file + ".corrupt-*")
			if loud := tt.level == zap.ErrorLevel; (logs.Len() > 0) != loud || (len(aside) > 0) != loud {
				t.Errorf("log %v, aside %v", logs.All(), aside)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if left, _ := journals(dir); len(left) != 0 {
				t.Errorf("journals %v are left", left)
			}
			s = open(t, dir, Options{})
			if r, _ := s.Ledger().Lookup("stats", "example.org"); (r == store.Seen) != tt.first {
				t.Errorf("the first name after another start: %v", r)
			}
		})
	}
	dir := t.TempDir()
	journalIn(t, dir, newer)
	var version *VersionError
	if _, err := Open(dir, Options{}); !errors.As(err, &version) || version.Version != journalVersion+1 {
		t.Errorf("opened a newer journal: %v", err)
	}
	if left, _ := journals(dir); len(left) != 1 {
		t.Errorf("journals %v are left, want the newer one", left)
	}
}

// FuzzScan has rubbish before a journal's records, and between them. They must be found, and what is found must be what a
// journal can hold.
func FuzzScan(f *testing.F) {
	b, want, at := sample(f)
	f.Add([]byte{}, []byte{})
	f.Add(b, b[at[1]:])
	f.Add(b[:at[2]+9], []byte{kindDone, 0, 0})
	f.Fuzz(func(t *testing.T, before, between []byte) {
		journal := slices.Concat(b[:journalHeader], before, b[at[0]:at[1]], between, b[at[1]:])
		got, skipped, cut := scanned(journal)
		for _, w := range want {
			if !slices.ContainsFunc(got, func(r record) bool { return reflect.DeepEqual(r, w) }) && len(before)+len(between) == 0 {
				t.Errorf("%+v was not found", w)
			}
		}
		if !slices.ContainsFunc(got, func(r record) bool { return reflect.DeepEqual(r, want[2]) }) && cut == 0 {
			t.Error("nothing is cut, and the last record is not found")
		}
		if skipped+cut > len(journal)-journalHeader {
			t.Errorf("%d and %d of %d bytes are none", skipped, cut, len(journal))
		}
		m := &memory{room: -1}
		j := journalOf(m)
		for _, r := range got {
			if r.kind == kindDone {
				continue // their number forms need not be the shortest
			}
			if r.name == "" || len(r.name) > store.MaxName || r.scope == "" || len(r.scope) > store.MaxScope || r.ms <= 0 {
				t.Fatalf("read %+v", r)
			}
			if err := j.claim(r.scope, r.name, r.event, r.ms); err != nil {
				t.Fatal(err)
			}
		}
		again, skipped, cut := scanned(m.Bytes())
		got = slices.DeleteFunc(got, func(r record) bool { return r.kind == kindDone })
		if fmt.Sprint(again) != fmt.Sprint(got) || skipped+cut != 0 {
			t.Errorf("written again: %+v, want %+v", again, got)
		}
	})
}
