package embedded

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/store"
)

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
