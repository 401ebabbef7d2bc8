package natsstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

// pair are two nodes of one store.
func pair(t *testing.T, server *natstest.Server, o Options) (a, b *Store) {
	t.Helper()
	if o.Bucket == "" {
		o.Bucket = newBucket()
	}
	a, b = open(t, t.TempDir(), connect(t, server.URL), o), open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, a, b)
	return a, b
}

// shared waits until all that was put is in NATS.
func shared(t *testing.T, s *Store) {
	t.Helper()
	until(t, "put into NATS", func() bool { return s.Status().Waiting == 0 })
}

func fetch(t *testing.T, s *Store, bucket, key, want string) {
	t.Helper()
	v, _, ok := s.cache.Fetch(t.Context(), bucket, key)
	if ok != (want != "") || string(v) != want {
		t.Errorf("%s/%s is fetched as %q, %v, want %q", bucket, key, v, ok, want)
	}
}

func get(t *testing.T, s *Store, bucket, key, want string) {
	t.Helper()
	v, _, ok := s.Cache().Get(bucket, key)
	if ok != (want != "") || string(v) != want {
		t.Errorf("%s/%s is %q, %v, want %q", bucket, key, v, ok, want)
	}
}

func TestClusterCache(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), Wait: patience}
	a, b := pair(t, server, o)
	hour := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	a.Cache().Put("rdap", "example.org", []byte("1"), hour)
	a.Cache().Put("rdap", "*.example.org >", []byte("2"), time.Time{})
	a.Cache().Put("rdap", "old.example.org", []byte("3"), time.Now().Add(-time.Hour))
	a.Cache().Put("rdap"+store.NodeBucket, "example.org", []byte("4"), hour)
	text := strings.Repeat("Domain Name: EXAMPLE.ORG\r\n", 40_000) // a megabyte, which compresses
	a.Cache().Put("rdap", "long", []byte(text), hour)
	noise := make([]byte, 2<<20) // as large as it looks, and larger than a message may be
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	a.Cache().Put("rdap", "noise", noise, hour)
	shared(t, a)

	get(t, b, "rdap", "example.org", "") // a Get does not wait
	fetch(t, b, "rdap", "example.org", "1")
	if _, expires, _ := b.Cache().Get("rdap", "example.org"); !expires.Equal(hour) {
		t.Errorf("expires %v, want %v", expires, hour)
	}
	fetch(t, b, "rdap", "*.example.org >", "2")
	fetch(t, b, "rdap", "old.example.org", "")
	fetch(t, b, "rdap", "none.example.org", "")
	fetch(t, b, "rdap"+store.NodeBucket, "example.org", "")
	fetch(t, b, "rdap", "noise", "")
	fetch(t, b, "rdap", "long", text)
	if v, _, ok := a.Cache().Get("rdap", "noise"); !ok || !bytes.Equal(v, noise) {
		t.Errorf("a value that is too large for NATS is not here either: %d bytes", len(v))
	}
	if st := b.Status(); st.Fetched != 3 || a.Status().Unshared != 1 || a.Status().Shared != 3 {
		t.Errorf("status %+v, %+v", a.Status(), st)
	}

	// The one that lasts longer is the newer one.
	b.Cache().Put("rdap", "example.org", []byte("newer"), hour.Add(time.Hour))
	shared(t, b)
	get(t, a, "rdap", "example.org", "1")
	fetch(t, a, "rdap", "example.org", "newer")

	// What is deleted or purged on one node is gone on the others, also on one that was away.
	away := open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, away)
	fetch(t, away, "rdap", "example.org", "newer")
	away.Cache().Put("of", "b1", []byte("1"), hour)
	shared(t, away)
	dir := away.dir
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	a.Cache().Put("rdap", "other", []byte("5"), hour)
	a.Cache().Delete("rdap", "example.org")
	shared(t, a)
	fetch(t, b, "of", "b1", "1")
	if n, err := b.Cache().Purge(t.Context(), "of", "b"); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	away = open(t, dir, connect(t, server.URL), o)
	for _, s := range []*Store{a, b, away} {
		until(t, "gone everywhere", func() bool {
			_, _, one := s.Cache().Get("rdap", "example.org")
			_, _, two := s.Cache().Get("of", "b1")
			return !one && !two
		})
		fetch(t, s, "rdap", "example.org", "")
		fetch(t, s, "of", "b1", "")
	}
	get(t, b, "rdap", "long", text)
	fetch(t, b, "rdap", "other", "5")
}

// The bucket of the cache makes room for what is new.
func TestClusterCacheFull(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	a, b := pair(t, server, Options{SharedCacheSize: 256 << 10, Wait: patience})
	value := make([]byte, 1000)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	for i := range 1000 {
		a.Cache().Put("b", name(i), value, time.Time{})
		if i%100 == 99 {
			shared(t, a)
		}
	}
	if v, _, ok := b.cache.Fetch(t.Context(), "b", name(999)); !ok || !bytes.Equal(v, value) {
		t.Error("the newest value is not there")
	}
	if _, _, ok := b.cache.Fetch(t.Context(), "b", name(1)); ok {
		t.Error("the oldest value is there still")
	}
	if st := a.Status(); st.Shared != 1000 || st.Unshared != 0 {
		t.Errorf("status %+v", st)
	}
}

// Without NATS the cache is this node's, and what waits is bounded.
func TestClusterCacheAway(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	a, b := pair(t, server, Options{MaxWaiting: 64 << 10, Wait: patience})
	server.Kill()
	until(t, "noticed", func() bool { return !a.Status().Ready })
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range 100 {
		a.Cache().Put("b", name(i), value, time.Time{})
	}
	for i := range 100 {
		fetch(t, a, "b", name(i), string(value))
	}
	if st := a.Status(); st.Unshared == 0 || st.Waiting > 64<<10 || st.Waiting < 60<<10 {
		t.Errorf("status %+v", st)
	}
	if n, err := a.Cache().Purge(t.Context(), "b", name(0)); n != 1 || !errors.Is(err, ErrAway) {
		t.Errorf("purged %d without NATS, %v", n, err)
	}
	if a.Cache().Status().Error == "" {
		t.Error("the status says nothing")
	}
	server.Restart()
	synced(t, a, b)
	shared(t, a)
	fetch(t, b, "b", name(1), string(value))
	fetch(t, b, "b", name(99), "")
}

// What one node imports, sees and forgets, the others know.
func TestClusterFollow(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	a, b := pair(t, server, Options{Wait: patience})
	la, lb := a.Ledger(), b.Ledger()
	ctx := t.Context()
	year := start.AddDate(-1, 0, 0)
	want := func(l store.Ledger, name string, first time.Time) {
		t.Helper()
		until(t, fmt.Sprintf("%s first seen at %v", name, first), func() bool {
			r, s := l.Lookup("stats", name)
			return r == store.Seen && s.First.Equal(first)
		})
	}
	la.Claim("stats", "claimed", start)
	if _, _, err := la.Import(ctx, "stats", slices.Values([]store.Sighting{
		{Name: "imported", First: year, Last: start, Count: 9}, {Name: "known"}, {Name: "claimed", First: year},
	})); err != nil {
		t.Fatal(err)
	}
	want(lb, "claimed", year)
	want(lb, "imported", year)
	want(lb, "known", time.Time{})
	if _, s := lb.Lookup("stats", "imported"); s.Count != 1 {
		t.Errorf("%d sightings of another node", s.Count)
	}
	// The first sighting of a name that was known is everybody's.
	if r, s := lb.Claim("stats", "known", start); r != store.Seen || !s.First.Equal(start) {
		t.Errorf("%v, %+v", r, s)
	}
	want(la, "known", start)
	// One imports what the other knows better.
	if added, known, err := lb.Import(ctx, "stats", slices.Values([]store.Sighting{
		{Name: "claimed", First: start}, {Name: "imported", First: year.AddDate(-1, 0, 0)}, {Name: "new"},
	})); added != 1 || known != 2 || err != nil {
		t.Errorf("added %d, known %d, %v", added, known, err)
	}
	want(la, "imported", year.AddDate(-1, 0, 0))
	want(la, "claimed", year)

	// What is forgotten is new again, for one of them.
	dir := b.dir
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := la.ForgetPrefix(ctx, "stats", ""); n != 4 || err != nil {
		t.Fatalf("forgot %d, %v", n, err)
	}
	for _, name := range []string{"claimed", "imported", "known", "new"} {
		if name == "new" {
			continue
		}
		if r, _ := la.Claim("stats", name, start.Add(time.Hour)); r != store.First {
			t.Errorf("%s is %v after it was forgotten", name, r)
		}
	}
	b = open(t, dir, connect(t, server.URL), *b.opt)
	synced(t, b)
	lb = b.Ledger()
	for _, name := range []string{"claimed", "imported", "known"} {
		if r, s := lb.Lookup("stats", name); r != store.Seen || !s.First.Equal(start.Add(time.Hour)) {
			t.Errorf("%s is %v on the node that was away, first seen at %v", name, r, s.First)
		}
	}
	if r, _ := lb.Claim("stats", "new", start); r != store.First {
		t.Errorf("a forgotten name is %v on the node that was away", r)
	}
	if n := lb.Len("stats"); n != 4 {
		t.Errorf("%d names", n)
	}
	if _, err := lb.Forget(ctx, "stats", "new"); err != nil {
		t.Fatal(err)
	}
	until(t, "the other forgets too", func() bool { r, _ := la.Lookup("stats", "new"); return r == store.Unseen })
}

// A store that was of one machine is shared when its folder is opened with NATS: its names, and the events that were not done.
func TestClusterMove(t *testing.T) {
	dir := t.TempDir()
	one, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var events []uint64
	for i := range 2000 {
		_, s := one.Ledger().Claim("stats", name(i), start)
		events = append(events, s.Event)
	}
	if err := one.Ledger().Done(events[:1500]...); err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), Wait: patience}
	a, b := open(t, dir, connect(t, server.URL), o), open(t, t.TempDir(), connect(t, server.URL), o)
	until(t, "all shared", func() bool { return b.Ledger().Len("stats") == 2000 && a.Status().Unclaimed == 0 })
	synced(t, a, b)
	for i := range 2000 {
		if r, s := b.Ledger().Claim("stats", name(i), start.Add(time.Hour)); r != store.Seen || !s.First.Equal(start) {
			t.Fatalf("%s is %v, first seen at %v", name(i), r, s.First)
		}
	}
	e := newEmitter()
	until(t, "emitted", func() bool { e.step(t, b, "stats"); return e.len() == 500 })
	e.wantOnce(t, 500)
	for i := range 1500 {
		if e.emitted[name(i)] != 0 {
			t.Fatalf("%s was emitted again", name(i))
		}
	}
}

// What somebody else writes into the buckets harms nobody.
func TestClusterForeign(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), Wait: patience}
	s := open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, s)
	link := s.state.link.Load()
	put := func(subject, data string) {
		t.Helper()
		if _, err := link.js.Publish(t.Context(), subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	ledger, cache := s.ledger.subjects.prefix(), s.cache.subjects.prefix()
	for i, data := range []string{"", "claimed", "claimed x node", "claimed 0 node", "known 5 node", "claimed -1 node", "claimed 99999999999999999 node",
		"other 5 node", strings.Repeat("x", 100_000)} {
		put(ledger+"stats.n.bad"+fmt.Sprint(i), data)
	}
	put(ledger+"stats.n.=61lias", "claimed 5 node") // another spelling
	put(ledger+"stats.x.y", "claimed 5 node")
	put(ledger+"alone", "claimed 5 node")
	put(ledger+"stats.n.good", "claimed 5 node")
	for i, data := range []string{"", "short", "\x07\x00\x00\x00\x00\x00\x00\x00\x00v", "\x01\x00\x00\x00\x00\x00\x00\x00\x00not zstd",
		"\x00\xff\xff\xff\xff\xff\xff\xff\xffv"} {
		put(cache+"b.bad"+fmt.Sprint(i), data)
	}
	put(cache+tokenPurge+".x", "not JSON")
	put(cache+tokenPurge+".y", `{"bucket":""}`)
	synced(t, s)
	if r, g := s.Ledger().Claim("stats", "good", start); r != store.Seen || g.First.UnixMilli() != 5 {
		t.Errorf("%v, %+v", r, g)
	}
	if n := s.Ledger().Len("stats"); n != 1 {
		t.Errorf("%d names", n)
	}
	for i := range 5 {
		fetch(t, s, "b", "bad"+fmt.Sprint(i), "")
	}
	if list, err := s.Ledger().Pending("stats", 0, 10); err != nil || len(list) != 1 || list[0].Name != "good" {
		t.Errorf("pending %+v, %v", list, err)
	}
	if r, _ := s.Ledger().Claim("stats", "bad1", start); r != store.Unknown {
		t.Errorf("a name with something else in its place is %v", r)
	}

	// A bucket that is not ours is left alone.
	theirs := newBucket()
	if _, err := link.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: theirs + "_ledger", History: 5}); err != nil {
		t.Fatal(err)
	}
	other := open(t, t.TempDir(), connect(t, server.URL), Options{Bucket: theirs})
	until(t, "refused", func() bool { return strings.Contains(other.Status().Error, "not one of Whence's") })
}

// The ledger in NATS refuses what is beyond its size, and goes on.
func TestClusterFull(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	s := open(t, t.TempDir(), connect(t, server.URL), Options{Bucket: newBucket(), MaxNames: 10, Wait: patience})
	synced(t, s)
	firsts := 0
	for i := range 20 {
		if r, _ := s.Ledger().Claim("stats", name(i), start); r == store.First {
			firsts++
		}
	}
	if firsts < 9 || firsts > 10 { // a node has a message of its own there
		t.Errorf("%d names in a ledger of 10", firsts)
	}
	if st := s.Ledger().Status(); st.Error == "" || s.Status().Unclaimed != 0 {
		t.Errorf("status %+v", st)
	}
	if r, _ := s.Ledger().Claim("stats", name(1), start); r != store.Seen {
		t.Errorf("a name that is there is %v", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if n, err := s.Ledger().Forget(ctx, "stats", name(1)); n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
}

// Without JetStream the status says what to do.
func TestClusterNoJetStream(t *testing.T) {
	server := natstest.Start(t, natstest.Options{NoJetStream: true})
	s := open(t, t.TempDir(), connect(t, server.URL), Options{})
	until(t, "told", func() bool { return strings.Contains(s.Status().Error, "JetStream") })
	if r, _ := s.Ledger().Claim("stats", "example.org", start); r != store.Unknown {
		t.Errorf("a claim is %v", r)
	}
}

func TestOptions(t *testing.T) {
	b := connect(t, "nats://127.0.0.1:1")
	for _, o := range []Options{{Bucket: "a.b"}, {Bucket: "ü"}, {Node: "two words"}, {Node: strings.Repeat("x", 65)}, {Replicas: 6}, {Replicas: -1}} {
		if s, err := Open(t.TempDir(), b, o); err == nil {
			s.Close()
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestSettle has a node promise that what it put is where others find it, and not promise it while NATS is away.
func TestSettle(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket()}
	one, two := open(t, t.TempDir(), connect(t, server.URL), o), open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, one, two)
	mine, other := one.Cache().(store.Shared), two.Cache().(store.Shared)
	for i := range 1000 {
		mine.Put("b", fmt.Sprint("key", i), []byte("value"), time.Time{})
	}
	if err := mine.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if _, _, ok := other.Fetch(t.Context(), "b", fmt.Sprint("key", i)); !ok {
			t.Fatalf("key%d is not there", i)
		}
	}
	server.Kill()
	until(t, "noticed", func() bool { return !one.Status().Ready })
	if err := mine.Settle(t.Context()); err != nil {
		t.Errorf("nothing waits: %v", err)
	}
	mine.Put("b", "late", []byte("value"), time.Time{})
	if err := mine.Settle(t.Context()); !errors.Is(err, ErrAway) {
		t.Errorf("while NATS is away: %v", err)
	}
	server.Restart()
	until(t, "shared when it is back", func() bool { return mine.Settle(t.Context()) == nil })
	until(t, "found", func() bool { _, _, ok := other.Fetch(t.Context(), "b", "late"); return ok })
}
