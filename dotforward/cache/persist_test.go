package cache

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/iotest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/wire"
)

func saved(t testing.TB, c *Cache, now time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.Save(&b, now); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSaveLoad(t *testing.T) {
	c := open(t, Options{StaleFor: time.Hour})
	asks := make([]*ask, 1000)
	for i := range asks {
		name := fmt.Sprintf("n%d.example.org.", i)
		a := question(t, name, dns.TypeA)
		a.key.DO, a.key.CD, a.key.Space = i%2 == 0, i%3 == 0, uint32(i%5)
		if i%7 == 0 {
			a.key.Subnet = []byte{0, 1, 8, 0, 10}
		}
		a.put(t, c, at(time.Duration(i)*time.Second), a.reply(t, 0, fmt.Sprintf("%s %d IN A 192.0.2.1", name, 1000+i)), Meta{1, 2, 3})
		asks[i] = a
	}
	fail := question(t, "fail.example.org.", 1)
	fail.put(t, c, at(1000*time.Second), fail.reply(t, 2))
	old := question(t, "old.example.org.", 1)
	old.put(t, c, at(-2*time.Hour), old.reply(t, 0, "old.example.org. 5 IN A 192.0.2.1"))
	file := saved(t, c, at(1000*time.Second))

	into := open(t, Options{StaleFor: time.Hour, MaxBytes: 3 << 20})
	now := at(1500 * time.Second)
	if n, err := into.Load(bytes.NewReader(file), now); n != 1000 || err != nil {
		t.Fatalf("%d loaded, %v", n, err)
	}
	check(t, into)
	for i, a := range asks {
		want, wantHit := a.get(t, c, now)
		got, hit := a.get(t, into, now)
		wantHit.Meta = Meta{}
		if got == nil || got.String() != want.String() || hit != wantHit {
			t.Fatalf("answer %d: %+v, want %+v\n%v\n%v", i, hit, wantHit, got, want)
		}
	}
	for _, a := range []*ask{fail, old} {
		if _, hit := a.get(t, into, now); hit.State != Miss {
			t.Error("loaded what may not be used any more")
		}
	}
	later := open(t, Options{StaleFor: time.Hour})
	if n, err := later.Load(bytes.NewReader(file), at(1000*time.Second+2*time.Hour)); n != 0 || err != nil {
		t.Errorf("%d loaded when all are too old, %v", n, err)
	}
}

func TestLoadDamaged(t *testing.T) {
	c := open(t, Options{})
	a := question(t, "www.example.org.", 1)
	a.put(t, c, t0, a.reply(t, 0, "www.example.org. 60 IN A 192.0.2.1"))
	file := saved(t, c, t0)
	into := open(t, Options{})
	for n := range file {
		if _, err := into.Load(bytes.NewReader(file[:n]), t0); !errors.Is(err, ErrSaved) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		flipped := bytes.Clone(file)
		flipped[n] ^= 1
		if _, err := into.Load(bytes.NewReader(flipped), t0); !errors.Is(err, ErrSaved) {
			t.Fatalf("byte %d flipped: %v", n, err)
		}
	}
	if _, err := into.Load(iotest.ErrReader(errors.New("disk")), t0); err == nil || errors.Is(err, ErrSaved) {
		t.Error(err)
	}
	if err := c.Save(failing{}, t0); err == nil {
		t.Error("saved to nowhere")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

// Whatever records a file has, with its checksums right, the cache stays whole and gives messages that can be read.
func FuzzLoad(f *testing.F) {
	c := open(f, Options{})
	a := question(f, "www.example.org.", 1)
	a.put(f, c, t0, a.reply(f, 0, "www.example.org. 60 IN A 192.0.2.1", soa))
	a.key.Subnet = []byte{1, 2, 3}
	a.put(f, c, t0, a.reply(f, 3, soa))
	file := saved(f, c, t0)
	f.Add(file[len(magic)+blockHead : len(file)-blockHead])
	f.Fuzz(func(t *testing.T, records []byte) {
		if len(records) == 0 || len(records) > maxBlock {
			return
		}
		file := bytes.NewBufferString(magic)
		for _, part := range [][]byte{records, nil} {
			if err := writeBlock(file, append(make([]byte, blockHead), part...)); err != nil {
				t.Fatal(err)
			}
		}
		c := open(t, Options{MaxBytes: 1})
		n, err := c.Load(file, t0)
		check(t, c)
		if found := c.Find([]byte{0}, true, 1<<20, t0); len(found) > n {
			t.Fatalf("%d loaded, %d found", n, len(found))
		} else {
			buf := make([]byte, wire.MaxLen)
			for _, x := range found {
				n, hit := c.Get(&x.Key, t0, buf)
				if hit.State == Miss || len(buf[:n]) < wire.HeaderLen {
					t.Fatalf("%+v is not found", x)
				}
			}
		}
		if err != nil && !errors.Is(err, ErrSaved) {
			t.Fatal(err)
		}
	})
}
