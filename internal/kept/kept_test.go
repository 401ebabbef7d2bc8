package kept

import (
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	c := New[string, int](2)
	if v, ok := c.Get(0, "a"); ok || v != 0 {
		t.Errorf("empty: %d %v", v, ok)
	}
	c.Put(0, "a", 1)
	c.Put(4, "b", 2) // has the place of a, which moves
	c.Put(2, "c", 3)
	c.Put(3, "d", 4) // shares its pair with c
	check := func(hash uint64, key string, want int, wantOK bool) {
		t.Helper()
		if v, ok := c.Get(hash, key); v != want || ok != wantOK {
			t.Errorf("%s: %d %v, want %d %v", key, v, ok, want, wantOK)
		}
	}
	check(0, "a", 1, true)
	check(4, "b", 2, true)
	check(2, "c", 3, true)
	check(3, "d", 4, true)
	check(2, "x", 0, false)
	c.Put(8, "e", 5)
	check(0, "a", 0, false)
	check(4, "b", 2, true)
	check(8, "e", 5, true)
	c.Put(8, "e", 6)
	check(4, "b", 2, true) // a newer value moves nothing
	check(8, "e", 6, true)
}

func TestCacheOfNothing(t *testing.T) {
	c := New[int, int](0)
	c.Put(7, 7, 1)
	if v, ok := c.Get(7, 7); v != 1 || !ok {
		t.Errorf("%d %v", v, ok)
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
