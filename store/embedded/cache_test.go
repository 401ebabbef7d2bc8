package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// What expires soonest is evicted, what does not expire last, and the cache stays within its size.
func TestCacheEvicts(t *testing.T) {
	s := open(t, t.TempDir(), Options{CacheSize: 100_000, Now: at(start)})
	c := s.Cache()
	value := make([]byte, 1000)
	c.Put("b", "for ever", value, time.Time{})
	for i := range 500 {
		c.Put("b", fmt.Sprint(i), value, start.Add(time.Duration(1+i*7%500)*time.Minute))
		if i%50 == 49 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			if st := c.Status(); st.Size > 100_000 {
				t.Fatalf("after %d: %+v", i, st)
			}
		}
	}
	kept, soonest, latest := 0, 500, 0
	for i := range 500 {
		if _, expires, ok := c.Get("b", fmt.Sprint(i)); ok {
			kept++
			soonest = min(soonest, int(expires.Sub(start)/time.Minute))
		} else {
			latest = max(latest, 1+i*7%500)
		}
	}
	if _, _, ok := c.Get("b", "for ever"); !ok || kept < 85 || soonest < latest {
		t.Errorf("kept %d, the soonest for %d minutes, while one for %d is gone; for ever: %v", kept, soonest, latest, ok)
	}
	if st := c.Status(); st.Entries != kept+1 || int(st.Evicted) != 500-kept || st.Puts != 501 {
		t.Errorf("status %+v", st)
	}
	c.Put("b", "larger than all", make([]byte, 100_001), time.Time{})
	if st := c.Status(); st.Dropped != 1 {
		t.Errorf("status %+v", st)
	}
}

// A cache whose disk does not take anything keeps what has room in memory, drops the rest, and writes when it can again.
func TestCacheUnwritable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Now: at(start)})
	c := s.cache
	c.Put("b", "before", []byte("v"), time.Time{})
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	real := c.db
	closed, err := bbolt.Open(filepath.Join(dir, "other.db"), 0o600, nil)
	if err = errors.Join(err, closed.Close()); err != nil {
		t.Fatal(err)
	}
	c.writeMu.Lock()
	c.db = closed
	c.writeMu.Unlock()
	big := make([]byte, 1<<20)
	for i := range 20 {
		c.Put("b", fmt.Sprint(i), big, time.Time{})
		if c.flush() == nil {
			t.Fatal("a closed database was written")
		}
	}
	c.Delete("b", "before")
	if st := c.Status(); st.Dropped != 5 || st.Error == "" {
		t.Errorf("status %+v", st)
	}
	if _, _, ok := c.Get("b", "14"); !ok {
		t.Error("what had room is gone")
	}
	c.writeMu.Lock()
	c.db = real
	c.writeMu.Unlock()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if st := c.Status(); st.Entries != 15 || st.Error != "" {
		t.Errorf("status %+v", st)
	}
	if _, _, ok := c.Get("b", "before"); ok {
		t.Error("what was deleted meanwhile is back")
	}
}

// A put is written by itself, and found while it is.
func TestCacheWritesBehind(t *testing.T) {
	s := open(t, t.TempDir(), Options{Now: at(start)})
	c := s.Cache()
	value := make([]byte, flushSize/4)
	for i := range 40 {
		c.Put("b", fmt.Sprint(i), value, time.Time{})
		for j := range i {
			if _, _, ok := c.Get("b", fmt.Sprint(j)); !ok {
				t.Fatalf("%d is gone after %d", j, i)
			}
		}
	}
	eventually(t, func() bool { return c.Status().Entries == 40 })
}

func BenchmarkCacheGet(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	c := s.Cache()
	const n = 10_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = name(i)
		c.Put("rdap", keys[i], make([]byte, 500), time.Time{})
	}
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, _, ok := c.Get("rdap", keys[i%n]); !ok {
			b.Fatal("not there")
		}
	}
}

func BenchmarkCachePut(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	value := make([]byte, 500)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Cache().Put("rdap", name(i%100_000), value, time.Time{})
	}
	b.ReportMetric(float64(s.Cache().Status().Dropped)/float64(b.N), "dropped/op")
}
