package natsstore

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/store"
)

// keyOK is what NATS wants of the keys of its buckets, and of the tokens in subjects.
var keyOK = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)

func TestKeys(t *testing.T) {
	for name, want := range map[string]string{
		"example.org": "example.org", "Example.org.": "Example.org=2E", ".": "=2E", "..": "=2E=2E", "a..b": "a.=2Eb", ".a": "=2Ea",
		"a b": "a=20b", "*": "=2A", "=61": "=3D61", "2001:db8::1": "2001=3Adb8=3A=3A1", "ü": "=C3=BC", "a/b_c-d": "a/b_c-d",
	} {
		if got := string(appendKey(nil, name)); got != want {
			t.Errorf("key of %q is %q, want %q", name, got, want)
		}
		if got := string(appendToken(nil, name)); strings.ContainsAny(got, "./\\*> ") {
			t.Errorf("token of %q is %q", name, got)
		}
	}
	for _, key := range []string{"", "=", "=4", "a=", "=4g", "=61", "=2e", "a=2Eb"} {
		if name, ok := canonical(key); ok {
			t.Errorf("%q stands for %q", key, name)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, name := range []string{"example.org", "..", "=", "a.*.>", "\x00\xff", "a..b."} {
		f.Add(name)
	}
	s := subjects{"b"}
	f.Fuzz(func(t *testing.T, name string) {
		// Any key that stands for a name is that name's.
		if n, ok := canonical(name); ok && string(appendKey(nil, n)) != name {
			t.Errorf("key %q stands for %q, whose key is %q", name, n, appendKey(nil, n))
		}
		if !valid(name, name) {
			return
		}
		key := string(appendKey(nil, name))
		if !keyOK.MatchString(key) || !keyOK.MatchString(string(appendToken(nil, name))) {
			t.Errorf("%q has key %q and token %q", name, key, appendToken(nil, name))
		}
		scope, kind, back, ok := s.parse(s.of(name, kindName, name))
		if !ok || scope != name || kind != kindName || back != name {
			t.Errorf("%q comes back as %q in %q, %v", name, back, scope, ok)
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, r := range []record{{claimed, 1795262400000, "node", false}, {known, 0, "n", false}, {imported, 1, "n", true}} {
		f.Add(r.encode())
		if got, ok := parseRecord(r.encode()); !ok || got != r {
			f.Errorf("%+v comes back as %+v, %v", r, got, ok)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := parseRecord(b)
		if !ok {
			return
		}
		if got, ok := parseRecord(r.encode()); !ok || got != r {
			t.Errorf("%q is %+v and comes back as %+v, %v", b, r, got, ok)
		}
		if (r.first == 0) != (r.class == known) || fromMillis(r.first).Year() > 9999 {
			t.Errorf("%q is %+v", b, r)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, v := range [][]byte{nil, []byte("v"), bytes.Repeat([]byte("word "), 1000)} {
		it := item{value: v, expires: time.UnixMilli(1795262400000).UTC()}
		f.Add(pack(it))
		if got, err := unpack(pack(it)); err != nil || !bytes.Equal(got.value, v) || !got.expires.Equal(it.expires) {
			f.Errorf("%d bytes come back as %d, %v, %v", len(v), len(got.value), got.expires, err)
		}
	}
	f.Add(pack(item{value: make([]byte, store.MaxValue+1)})) // small as it is, it is too large
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := unpack(b)
		if err == nil && (len(it.value) > store.MaxValue || it.expires.Year() > 9999) {
			t.Errorf("%d bytes, expires %v", len(it.value), it.expires)
		}
	})
}

func TestPosition(t *testing.T) {
	dir := t.TempDir()
	if p, err := readPosition(dir); err != nil || !reflect.DeepEqual(p, position{}) {
		t.Errorf("of a new folder: %+v, %v", p, err)
	}
	want := position{Bucket: "b", Created: time.Unix(1, 2).UTC(), Seq: 3, Names: 4, Purges: 5, At: time.Unix(6, 0).UTC()}
	for range 2 {
		if err := want.write(dir); err != nil {
			t.Fatal(err)
		}
		if p, err := readPosition(dir); err != nil || p != want {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left %q", left)
	}
	if err := os.WriteFile(filepath.Join(dir, positionFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := readPosition(dir); err == nil {
		t.Errorf("of a damaged file: %+v", p)
	}
}
