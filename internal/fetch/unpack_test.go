package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// member is a file in an archive.
type member struct{ name, text string }

func zipped(ms ...member) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range ms {
		f, _ := w.Create(m.name)
		io.WriteString(f, m.text)
	}
	w.Close()
	return b.Bytes()
}

func tarred(ms ...member) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range ms {
		h := &tar.Header{Name: m.name, Size: int64(len(m.text)), Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if strings.HasSuffix(m.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		w.WriteHeader(h)
		io.WriteString(w, m.text)
	}
	w.Close()
	return b.Bytes()
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func unpack(t testing.TB, data []byte, p Packed) (string, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "packed"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return unpackFrom(t, f, data, p)
}

func unpackFrom(t testing.TB, f *os.File, data []byte, p Packed) (string, error) {
	t.Helper()
	if err := f.Truncate(int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	n, err := Unpack(t.Context(), f, p, &b)
	if err == nil && n != int64(b.Len()) {
		t.Errorf("%d bytes said, %d written", n, b.Len())
	}
	return b.String(), err
}

func TestUnpack(t *testing.T) {
	mmdb := Packed{Extensions: []string{".mmdb"}}
	csv := Packed{Extensions: []string{".csv", ".txt"}}
	readme, data, other := member{"d/README.txt", "read me"}, member{"d/data.mmdb", "data"}, member{"d/more.mmdb", "more"}
	for _, tt := range []struct {
		name       string
		packed     []byte
		p          Packed
		want, fail string
	}{
		{"plain", []byte("data"), mmdb, "data", ""},
		{"gzip", gzipped([]byte("data")), mmdb, "data", ""},
		{"zip", zipped(readme, data), mmdb, "data", ""},
		{"tar.gz", gzipped(tarred(member{"d/", ""}, readme, member{"d/._data.mmdb", "mac"}, data)), mmdb, "data", ""},
		{"tar", tarred(readme, data), mmdb, "data", ""},
		{"zip with one file of another name", zipped(member{"top-1m", "1,a"}), csv, "1,a", ""},
		{"the better extension", zipped(member{"a.txt", "text"}, member{"b.CSV", "csv"}), csv, "csv", ""},
		{"a member by name", zipped(data, other), Packed{Extensions: mmdb.Extensions, Member: "more.mmdb"}, "more", ""},
		{"a member by pattern", gzipped(tarred(data, other)), Packed{Member: "d/m*.mmdb"}, "more", ""},
		{"two gzips in a row", append(gzipped([]byte("da")), gzipped([]byte("ta"))...), mmdb, "data", ""},

		{"several", zipped(data, other), mmdb, "", `several files that it could be, as "d/data.mmdb" and "d/more.mmdb"; say which with member`},
		{"several members", zipped(data, other), Packed{Member: "*.mmdb"}, "", "several files that are *.mmdb"},
		{"none", zipped(readme, member{"x.csv", "x"}), mmdb, "", "no file .mmdb"},
		{"none in a tar", gzipped(tarred(readme)), mmdb, "", "no file .mmdb"},
		{"no such member", zipped(data), Packed{Member: "x"}, "", "has no x"},
		{"empty", nil, mmdb, "", "it is empty"},
		{"an empty zip", zipped(), mmdb, "", "no file .mmdb"},
		{"a web page", []byte("<!DOCTYPE html><html>Sign in"), mmdb, "", "a web page"},
		{"a packed web page", gzipped([]byte("\n <html><body>")), mmdb, "", "a web page"},
		{"xz", []byte("\xfd7zXZ\x00..."), mmdb, "", "packed as xz"},
		{"gzip in gzip", gzipped(gzipped([]byte("data"))), mmdb, "", "gzip in gzip"},
		{"half a gzip", gzipped(bytes.Repeat([]byte("data"), 1000))[:30], mmdb, "", "ends in the middle"},
		{"two bytes of a gzip", []byte("\x1f\x8b"), mmdb, "", "ends in the middle"},
		{"half a zip", zipped(data)[:40], mmdb, "", "unpacking it: zip"},
		{"half a tar", gzipped(tarred(readme, data)[:1100]), mmdb, "", "ends in the middle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := unpack(t, tt.packed, tt.p)
			if tt.fail == "" {
				if err != nil || got != tt.want {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			var mismatch *MismatchError
			if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("%v, want %s", err, tt.fail)
			}
		})
	}
}

func TestUnpackDamaged(t *testing.T) {
	for name, data := range map[string][]byte{
		"gzip": gzipped(bytes.Repeat([]byte("data"), 100)), "zip": zipped(member{"data.mmdb", strings.Repeat("data", 100)}),
	} {
		i := bytes.Index(data, []byte("data.mmdb")) + len("data.mmdb") // behind what the zip says of the file
		data[max(i, 12)+2] ^= 0xff
		var mismatch *MismatchError
		if _, err := unpack(t, data, Packed{}); !errors.As(err, &mismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnpackBombs unpacks what becomes a thousand times as large, in what is wanted and before it.
func TestUnpackBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 8<<20)
	p := Packed{Extensions: []string{".mmdb"}, Limit: 1 << 20}
	for name, data := range map[string][]byte{
		"gzip": gzipped([]byte(zeros)), "zip": zipped(member{"data.mmdb", zeros}),
		"tar": gzipped(tarred(member{"data.mmdb", zeros})), "tar, before": gzipped(tarred(member{"zeros", zeros}, member{"data.mmdb", "data"})),
	} {
		if _, err := unpack(t, data, p); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes unpacked") {
			t.Errorf("%s of %d bytes: %v", name, len(data), err)
		}
	}
}

func TestUnpackEnds(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "packed"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write([]byte("data"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Unpack(ctx, f, Packed{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	for _, data := range [][]byte{
		[]byte("data"), gzipped([]byte("data")), zipped(member{"a.txt", "x"}, member{"data.mmdb", "data"}),
		gzipped(tarred(member{"a.txt", "x"}, member{"data.mmdb", "data"})), tarred(member{"data.mmdb", "data"}),
	} {
		f.Add(data)
	}
	file, err := os.Create(filepath.Join(f.TempDir(), "packed"))
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		got, err := unpackFrom(t, file, data, Packed{Extensions: []string{".mmdb"}, Limit: limit})
		if err == nil && (len(got) == 0 || len(got) > limit) {
			t.Errorf("%d bytes of %q", len(got), data)
		}
	})
}
