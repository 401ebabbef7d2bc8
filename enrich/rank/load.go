package rank

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/whence-project/whence/enrich"
)

// loader reads files.
type loader struct {
	name        string
	attribution string
	maxBytes    int64
}

// load reads one list: plain, gzip (RFC 1952), or the first CSV in a zip, whatever its file is called.
func (o loader) load(ctx context.Context, path string) (*list, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is refused, not waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > o.maxBytes:
		return nil, fmt.Errorf("larger than %d bytes", o.maxBytes)
	}
	in, err := unpack(f, info.Size())
	if err != nil {
		return nil, err
	}
	var b builder
	r, err := read(ctx, &bounded{in, o.maxBytes, o.maxBytes}, &b)
	if err != nil {
		return nil, err
	}
	l := b.build()
	l.name, l.format, l.bad, l.bytes = o.name, r.format, r.bad, info.Size()
	if l.name == "" {
		l.name = listName(filepath.Base(path))
	}
	l.origin = &enrich.Origin{
		Source: "rank", Name: l.name, Built: info.ModTime().UTC().Truncate(time.Second), Attribution: o.attribution,
	}
	return l, nil
}

// unpack goes by the file's first bytes: lists are saved under all sorts of names.
func unpack(f *os.File, size int64) (io.Reader, error) {
	magic := make([]byte, 4)
	n, err := f.ReadAt(magic, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch magic = magic[:n]; {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(f)
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")), bytes.HasPrefix(magic, []byte("PK\x05\x06")):
		z, err := zip.NewReader(f, size)
		if err != nil {
			return nil, err
		}
		return member(z)
	}
	return f, nil
}

// member is the first CSV file in a zip, else the first text file, else the first file.
func member(z *zip.Reader) (io.Reader, error) {
	files := slices.DeleteFunc(slices.Clone(z.File), func(f *zip.File) bool {
		return !f.Mode().IsRegular() || strings.HasPrefix(f.Name, "__MACOSX/")
	})
	if len(files) == 0 {
		return nil, errors.New("an empty zip")
	}
	for _, ext := range []string{".csv", ".txt", ""} {
		for _, f := range files {
			if strings.HasSuffix(strings.ToLower(f.Name), ext) {
				return f.Open() // closing would only tell that the sum was not checked: it is, at the end of the data
			}
		}
	}
	return nil, nil
}

// bounded fails where there is more than a list may be, unpacked.
type bounded struct {
	r    io.Reader
	left int64
	max  int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("larger than %d bytes unpacked", b.max)
	}
	return n, err
}
