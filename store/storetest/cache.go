package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/whence-project/whence/store"
)

// get wants that value, none if it is empty.
func get(t *testing.T, c store.Cache, bucket, key, want string) (expires time.Time) {
	t.Helper()
	v, expires, ok := c.Get(bucket, key)
	if ok != (want != "") || string(v) != want {
		t.Errorf("%s/%s is %q, %v, want %q", bucket, key, v, ok, want)
	}
	return expires
}

func testCache(t *testing.T, open func() store.Store) {
	s := open()
	c := s.Cache()
	hour := Now.Add(time.Hour)
	get(t, c, "rdap", "example.org", "")
	c.Put("rdap", "example.org", []byte("1"), hour)
	c.Put("whois", "example.org", []byte("2"), hour)
	c.Put("rdap", "example.net", []byte("3"), time.Time{})
	c.Put("rda", "pexample.org", []byte("4"), hour)
	c.Put("rdap", "gone.example.org", []byte("5"), hour)
	c.Put("rdap", "", []byte("6"), hour)
	c.Put("", "example.org", []byte("7"), hour)
	c.Put("rdap", "too-large", make([]byte, store.MaxValue+1), hour)
	want := func() {
		t.Helper()
		if got := get(t, c, "rdap", "example.org", "1"); !got.Equal(hour) {
			t.Errorf("expires %v", got)
		}
		get(t, c, "whois", "example.org", "2")
		if got := get(t, c, "rdap", "example.net", "3"); !got.IsZero() {
			t.Errorf("what does not expire does at %v", got)
		}
		get(t, c, "rda", "pexample.org", "4")
		get(t, c, "rdap", "", "")
		get(t, c, "", "example.org", "")
		get(t, c, "rdap", "too-large", "")
	}
	want()
	closed(t, s)
	s = open()
	c = s.Cache()
	want()
	c.Delete("rdap", "gone.example.org")
	c.Delete("rdap", "never-there.example.org")
	get(t, c, "rdap", "gone.example.org", "")
	closed(t, s)
	s = open()
	c = s.Cache()
	want()
	get(t, c, "rdap", "gone.example.org", "")
	c.Put("rdap", "example.org", []byte("new"), hour)
	get(t, c, "rdap", "example.org", "new")
	closed(t, s)
	s = open()
	defer closed(t, s)
	get(t, s.Cache(), "rdap", "example.org", "new")
	if got := s.Cache().Status(); got.Entries != 4 || got.Hits != 1 || got.Misses != 0 {
		t.Errorf("status %+v", got)
	}
}

func testCacheExpiry(t *testing.T, open func() store.Store) {
	s := open()
	c := s.Cache()
	c.Put("b", "past", []byte("v"), Now.Add(-time.Second))
	c.Put("b", "now", []byte("v"), Now)
	c.Put("b", "future", []byte("v"), Now.Add(time.Second))
	c.Put("b", "extended", []byte("v"), Now.Add(-time.Second))
	closed(t, s)
	s = open()
	defer closed(t, s)
	c = s.Cache()
	c.Put("b", "extended", []byte("w"), Now.Add(time.Second))
	get(t, c, "b", "past", "")
	get(t, c, "b", "now", "")
	get(t, c, "b", "future", "v")
	get(t, c, "b", "extended", "w")
	if _, err := c.Purge(t.Context(), "other", ""); err != nil { // writes what waits
		t.Fatal(err)
	}
	if n, err := c.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if n, err := c.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("swept %d again, %v", n, err)
	}
	get(t, c, "b", "future", "v")
	get(t, c, "b", "extended", "w")
}

func testCachePurge(t *testing.T, open func() store.Store) {
	s := open()
	defer closed(t, s)
	c := s.Cache()
	value := bytes.Repeat([]byte("v"), 100)
	for i := range 5000 {
		c.Put("b", fmt.Sprintf("a%d", i), value, time.Time{})
	}
	c.Put("b", "b1", value, time.Time{})
	c.Put("c", "a1", value, time.Time{})
	if n, err := c.Purge(t.Context(), "b", "a"); n != 5000 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	get(t, c, "b", "a17", "")
	get(t, c, "b", "b1", string(value))
	if n, err := c.Purge(t.Context(), "b", ""); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	get(t, c, "c", "a1", string(value))
	if _, err := c.Purge(t.Context(), "", ""); err == nil {
		t.Error("purged the bucket without a name")
	}
}

func testCacheBuckets(t *testing.T, open func() store.Store) {
	s := open()
	defer closed(t, s)
	c, ok := s.Cache().(store.BucketReporter)
	if !ok {
		t.Skip("this store cannot tell its buckets")
	}
	hour := Now.Add(time.Hour)
	for _, key := range []string{"a", "bb"} {
		s.Cache().Put("rdap.raw", key, []byte("12345"), hour)
	}
	s.Cache().Put("whois", "a", []byte("1"), time.Time{})
	s.Cache().Put("whois", "old", []byte("1"), Now.Add(-time.Second))
	s.Cache().Put("b", "a", nil, hour)
	want := []store.BucketStatus{
		{Bucket: "b", Entries: 1, Size: 1}, {Bucket: "rdap.raw", Entries: 2, Size: 13}, {Bucket: "whois", Entries: 2, Expired: 1, Size: 6},
	}
	if got, err := c.Buckets(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %+v, want %+v", err, got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Buckets(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// testCacheKeys has keys that engines may want to write in another way, and values from the smallest to the largest.
func testCacheKeys(t *testing.T, open func() store.Store) {
	s := open()
	c := s.Cache()
	for i, key := range odd {
		c.Put("b.*", key, fmt.Appendf(nil, "value %d", i), time.Time{})
	}
	large := make([]byte, store.MaxValue)
	for i := range large {
		large[i] = byte(i * i >> 8)
	}
	c.Put("large", "k", large, time.Time{})
	c.Put("small", "k", []byte{}, time.Time{})
	c.Put("of"+store.NodeBucket, "k", []byte("v"), time.Time{})
	closed(t, s)
	s = open()
	defer closed(t, s)
	c = s.Cache()
	for i, key := range odd {
		get(t, c, "b.*", key, fmt.Sprintf("value %d", i))
	}
	if v, _, ok := c.Get("large", "k"); !ok || !bytes.Equal(v, large) {
		t.Errorf("the large value has %d bytes, %v", len(v), ok)
	}
	if v, _, ok := c.Get("small", "k"); !ok || len(v) != 0 {
		t.Errorf("the small value is %q, %v", v, ok)
	}
	get(t, c, "of"+store.NodeBucket, "k", "v")
	c.Delete("b.*", "a.*")
	get(t, c, "b.*", "a.*", "")
	get(t, c, "b.*", "a.>", "value 11")
	if n, err := c.Purge(t.Context(), "b.*", "a."); n != 5 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	get(t, c, "b.*", "A.b", "value 7")
}
