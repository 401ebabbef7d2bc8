package mmdb

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/whence-project/whence/internal/testenv"
)

// databases are all files of the test data that are databases by their name, good or bad.
func databases(t testing.TB, dirs ...string) []string {
	var paths []string
	for _, dir := range dirs {
		err := filepath.WalkDir(testenv.Path(t, dir), func(path string, d fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".mmdb" {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// samples are addresses all over a database: random ones, and the borders of networks.
func samples(r *maxminddb.Reader, n int) []netip.Addr {
	as := randomAddrs(n, 7)
	rnd := rand.New(rand.NewPCG(7, 7))
	for range n {
		var b [16]byte
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		b[0] = 0x20 | b[0]&0x1f // 2000::/3
		as = append(as, netip.AddrFrom16(b))
	}
	for res := range r.Networks(maxminddb.IncludeNetworksWithoutData()) {
		a := res.Prefix().Addr()
		as = append(as, a, a.Prev(), a.Next())
		if n -= 3; n < 0 {
			break
		}
	}
	for _, s := range []string{
		"::", "::1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "2001:0:808:808::", "2002:808:808::1", "64:ff9b::808:808",
		"::8.8.8.8", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::1",
	} {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

func TestLookupAgreesWithReader(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 1000
	}
	checked := 0
	for _, path := range databases(t, "mmdb", "mmdb-maxmind") {
		db, err := load(context.Background(), path, testLimits)
		if err != nil {
			continue // TestBadData says which
		}
		checked++
		r, err := maxminddb.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		hit := 0
		for _, a := range samples(r, n) {
			if !a.IsValid() {
				continue // beyond the first or last address
			}
			record, network := db.tree.lookup(a)
			if a.Is6() && r.Metadata.IPVersion == 4 {
				if record >= 0 || network.IsValid() {
					t.Errorf("%s: %v: record %d, network %v, want none", path, a, record, network)
				}
				continue
			}
			want := r.Lookup(a)
			if want.Err() != nil {
				t.Fatal(want.Err())
			}
			p := want.Prefix()
			if a.Is4() && p.Addr().Is6() {
				p = netip.PrefixFrom(netip.IPv4Unspecified(), 0) // one record for more than all of IPv4
			}
			if network != p || (record >= 0) != want.Found() {
				t.Errorf("%s: %v: record %d of %v, the reader says %v of %v", path, a, record, network, want.Found(), p)
			}
			if record >= 0 {
				hit++
				if uintptr(db.offsets[record]) != want.Offset() {
					t.Errorf("%s: %v: offset %d, the reader says %d", path, a, db.offsets[record], want.Offset())
				}
			}
		}
		if hit == 0 {
			t.Errorf("%s: no sample had a record", path)
		}
		var networks uint64
		for range r.Networks() {
			networks++
		}
		if db.networks != networks {
			t.Errorf("%s: %d networks, the reader says %d", path, db.networks, networks)
		}
	}
	if checked < 40 {
		t.Errorf("only %d databases were good", checked)
	}
}

// A tree in which both sides of every node lead to the next has 2^128 paths: a walk over networks would never end.
func TestSharedNodesAreWalkedOnce(t *testing.T) {
	const depth = 128
	var tree []byte
	for i := range depth {
		next := i + 1
		if next == depth {
			next = depth + separator // the record at 0
		}
		for range 2 {
			tree = append(tree, byte(next>>16), byte(next>>8), byte(next))
		}
	}
	tr, c, err := newTree(tree, depth, 24, 6, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.offsets) != 1 {
		t.Errorf("%d records", len(c.offsets))
	}
	a := netip.MustParseAddr("2001:db8::1")
	if record, network := tr.lookup(a); record != 0 || network.Bits() != depth {
		t.Errorf("record %d of %v", record, network)
	}
}
