package mmdb

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

// refused are the databases of the test data that are not taken, and why. Every other one is good.
var refused = map[string]string{
	"libmaxminddb-deep-array-nesting.mmdb":         "nested deeper than 32 levels",
	"libmaxminddb-deep-nesting.mmdb":               "nested deeper than 32 levels",
	"libmaxminddb-metadata-marker-only.mmdb":       "metadata: at offset 0: unexpected end",
	"libmaxminddb-offset-integer-overflow.mmdb":    "metadata: at offset 0: unexpected end",
	"libmaxminddb-oversized-array.mmdb":            "record at 0 of the data section: at offset 0: unexpected end",
	"libmaxminddb-oversized-map.mmdb":              "record at 0 of the data section: at offset 0: unexpected end",
	"libmaxminddb-separator-record-max-left.mmdb":  "points outside the file",
	"libmaxminddb-separator-record-min-left.mmdb":  "points outside the file",
	"libmaxminddb-separator-record-min-right.mmdb": "points outside the file",
	"cyclic-data-structure.mmdb":                   "unexpected end",
	"invalid-bytes-length.mmdb":                    "unexpected end",
	"invalid-data-record-offset.mmdb":              "unknown type",
	"invalid-map-key-length.mmdb":                  "unexpected end",
	"invalid-string-length.mmdb":                   "unexpected end",
	"metadata-is-an-uint128.mmdb":                  "metadata: at offset 0: unexpected end",
	"unexpected-bytes.mmdb":                        "/languages",
	"bad-unicode-in-map-key.mmdb":                  "points outside the file",
	"GeoIP2-City-Test-Broken-Double-Format.mmdb":   "float 64 size of 5",
	"GeoIP2-City-Test-Invalid-Node-Count.mmdb":     "metadata",
	"MaxMind-DB-test-broken-pointers-24.mmdb":      "points outside the file",
	"MaxMind-DB-test-broken-search-tree-24.mmdb":   "deeper than an address",
}

// Every database of MaxMind's is either good, so that every record of it can be shown, or refused for a reason.
func TestBadData(t *testing.T) {
	seen := 0
	for _, path := range databases(t, "mmdb-maxmind") {
		name := filepath.Base(path)
		db, err := load(context.Background(), path, testLimits)
		want, bad := refused[name]
		switch {
		case bad:
			seen++
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: refused for %v, want %q", name, err, want)
			}
		case err != nil:
			t.Errorf("%s: refused for %v, want it good", name, err)
		default:
			for i := range db.offsets {
				if f := db.build(i); f == nil {
					t.Errorf("%s: record %d was good when loaded, and is %v", name, i, f)
				}
			}
		}
	}
	if seen != len(refused) {
		t.Errorf("%d bad databases found, want %d", seen, len(refused))
	}
}

func TestRefusedFiles(t *testing.T) {
	good := write("Test", 4, network{"10.0.0.0/8", object{{"asn", "AS1"}}})
	long := func(n int) object {
		o := make(object, n)
		for i := range o {
			o[i] = pair{strings.Repeat("k", i%7+1), "v"}
		}
		return o
	}
	deep := any("end")
	for range 40 {
		deep = []any{object{{"a", deep}}}
	}
	for _, tt := range []struct {
		name string
		file []byte
		max  int64
		want string // "" where it is good
	}{
		{"good", good, 0, ""},
		{"empty", nil, 0, "empty"},
		{"text", []byte("network,asn\n10.0.0.0/8,AS1\n"), 0, "no MMDB file"},
		{"zeros", make([]byte, 1<<20), 0, "no MMDB file"},
		{"beginning", good[:20], 0, "no MMDB file"},
		{"end", good[20:], 0, "metadata"},
		{"too large", good, 100, "more than the 100 allowed"},
		{"metadata at the end of something else", append(make([]byte, 300<<10), good...), 0, "search tree"},
		{"many fields", write("Test", 4, network{"10.0.0.0/8", long(maxFields + 1)}), 0, "more than 2048 fields"},
		{"most fields", write("Test", 4, network{"10.0.0.0/8", long(maxFields - 1)}), 0, ""},
		{"long array", write("Test", 4, network{"10.0.0.0/8", make([]any, 0)}), 0, ""},
		{"deep", write("Test", 4, network{"10.0.0.0/8", deep}), 0, "nested deeper"},
		{"long key", write("Test", 4, network{"10.0.0.0/8", object{{strings.Repeat("k", 1025), 1}}}), 0, "key of more than"},
		{"many bytes", write("Test", 4, network{"10.0.0.0/8", object{
			{"a", strings.Repeat("x", 60000)}, {"b", strings.Repeat("x", 60000)}, {"c", strings.Repeat("x", 60000)},
			{"d", strings.Repeat("x", 60000)}, {"e", strings.Repeat("x", 60000)},
		}}), 0, "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lim := testLimits
			if tt.max > 0 {
				lim.maxFile = tt.max
			}
			_, err := load(context.Background(), writeFile(t, "a.mmdb", tt.file), lim)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("refused for %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := load(context.Background(), t.TempDir(), testLimits); err == nil {
		t.Error("a folder was taken for a database")
	}
}

// Records that point to the same bytes over and over make a small file large.
func TestExpansionIsBounded(t *testing.T) {
	wide := make(object, 2000)
	for i := range wide {
		wide[i] = pair{"k", strings.Repeat("x", 50)}
	}
	var data bytes.Buffer
	encode(&data, wide)
	db := &database{size: 1 << 10, data: data.Bytes(), origin: new(enrich.Origin), offsets: make([]uint32, 1<<16)}
	c := &census{v4: make([]uint32, 1<<16), v6: make([]uint32, 1<<16)}
	if err := db.readAll(context.Background(), c, nil); err == nil || !strings.Contains(err.Error(), "expand") {
		t.Errorf("took 65,536 records of 2,000 fields in 1 KiB: %v", err)
	}
}

// A database of which any byte was changed is refused, or can be asked everything.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"MaxMind-DB-test-decoder.mmdb", "MaxMind-DB-test-mixed-28.mmdb", "MaxMind-DB-test-ipv4-32.mmdb"} {
		file, err := os.ReadFile(testenv.Path(f, "mmdb-maxmind", "test-data", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Add(write("Test", 6, network{"2001:db8::/32", object{{"asn", 64500}, {"names", object{{"en", "a"}, {"de", "b"}}}}}))
	addrs := randomAddrs(100, 9)
	f.Fuzz(func(t *testing.T, file []byte) {
		db, err := parse(context.Background(), "a.mmdb", file, testLimits)
		if err != nil {
			if strings.Contains(err.Error(), "reading it failed") {
				t.Fatal(err) // a panic that was caught
			}
			return
		}
		for _, a := range addrs {
			if record, _ := db.tree.lookup(a); record >= len(db.offsets) {
				t.Fatalf("%v leads to record %d of %d", a, record, len(db.offsets))
			}
		}
		for i := range min(len(db.offsets), 100) {
			if db.build(i) == nil {
				t.Fatalf("record %d was good when loaded", i)
			}
		}
		for _, s := range db.systems {
			if fragment, _ := db.system(s.asn); fragment.Value(enrich.ASN) == "" {
				t.Fatalf("AS%d has no number", s.asn)
			}
		}
	})
}
