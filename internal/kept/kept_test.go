package kept

import (
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	c := New[string, int](1)
	if v, ok := c.Get(0, "a"); ok || v != 0 {
		t.Errorf("empty: %d %v", v, ok)
	}
	c.Put(0, "a", 1)
	c.Put(1, "b", 2)
	c.Put(2, "c", 3) // shares the place of a
	for _, tt := range []struct {
		hash uint64
		key  string
		want int
		ok   bool
	}{
		{0, "a", 0, false},
		{1, "b", 2, true},
		{2, "c", 3, true},
		{2, "b", 0, false},
	} {
		if v, ok := c.Get(tt.hash, tt.key); v != tt.want || ok != tt.ok {
			t.Errorf("%s: %d %v, want %d %v", tt.key, v, ok, tt.want, tt.ok)
		}
	}
}

func TestCacheNeverMixesKeys(t *testing.T) {
	c := New[int, int](2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				if v, ok := c.Get(uint64(i), i%64); ok && v != -(i%64) {
					t.Errorf("%d has %d", i%64, v)
					return
				}
				c.Put(uint64(i), i%64, -(i % 64))
			}
		})
	}
	wg.Wait()
}
