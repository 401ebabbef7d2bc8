package natsstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/bus"
)

// TestClusterPermissions has a user who may do what Permissions says, and nothing else.
func TestClusterPermissions(t *testing.T) {
	bucket := newBucket()
	publish, subscribe := Permissions(bucket)
	quoted := func(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }
	server := natstest.Start(t, natstest.Options{Config: fmt.Sprintf(
		"authorization { users: [{user: node, password: pw, permissions: {publish: {allow: [%s]}, subscribe: {allow: [%s]}}}] }\n",
		quoted(publish), quoted(subscribe))})
	newBus := func() *bus.Bus {
		b, err := bus.Open(bus.Options{URLs: []string{server.URL}, User: "node", Password: "pw"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	o := Options{Bucket: bucket, Wait: patience}
	first, second := newBus(), newBus()
	a, b := open(t, t.TempDir(), first, o), open(t, t.TempDir(), second, o)
	synced(t, a, b)
	if r, _ := a.Ledger().Claim("stats", "example.org", start); r != store.First {
		t.Errorf("claim: %v", r)
	}
	if r, _ := b.Ledger().Claim("stats", "example.org", start); r != store.Seen {
		t.Errorf("claim: %v", r)
	}
	if _, _, err := b.Ledger().Import(t.Context(), "stats", only(store.Sighting{Name: "example.org", First: start.AddDate(-1, 0, 0)})); err != nil {
		t.Error(err)
	}
	e := newEmitter()
	until(t, "emitted", func() bool { e.step(t, b, "stats"); return e.len() == 1 })
	e.wantOnce(t, 1)
	if st := b.Ledger().Status(); st.Events != 0 {
		t.Errorf("status %+v", st)
	}
	a.Cache().Put("b", "k", []byte("v"), time.Time{})
	a.Cache().Put("b", "l", []byte("v"), time.Time{})
	shared(t, a)
	fetch(t, b, "b", "k", "v")
	a.Cache().Delete("b", "l")
	shared(t, a)
	if n, err := b.Cache().Purge(t.Context(), "b", ""); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if n, err := a.Ledger().ForgetPrefix(t.Context(), "stats", ""); n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	for _, b := range []*bus.Bus{first, second} {
		if st := b.Status(); st.Error != "" {
			t.Errorf("status %+v", st)
		}
	}
}
