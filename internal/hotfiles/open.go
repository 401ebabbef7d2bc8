package hotfiles

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Text is a text file that is open for reading, unpacked as it is read.
type Text struct {
	io.Reader
	Info fs.FileInfo // of the file as it lies there
	file *os.File
}

// Open opens a list: plain, gzip (RFC 1952), or the first CSV or text in a zip, whatever its file is called. A file that is
// larger than most bytes, packed or unpacked, is refused, at the latest while it is read.
func Open(path string, most int64) (*Text, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is refused, not waited for
	if err != nil {
		return nil, err
	}
	t := &Text{file: f}
	if err := t.start(most); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// Close closes the file.
func (t *Text) Close() error { return t.file.Close() }

func (t *Text) start(most int64) (err error) {
	if t.Info, err = t.file.Stat(); err != nil {
		return err
	}
	if !t.Info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if t.Info.Size() > most {
		return fmt.Errorf("larger than %d bytes", most)
	}
	in, err := unpack(t.file, t.Info.Size())
	if err != nil {
		return err
	}
	t.Reader = &bounded{in, most, most}
	return nil
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
	for _, ext := range []string{".csv", ".txt"} {
		for _, f := range files {
			if strings.HasSuffix(strings.ToLower(f.Name), ext) {
				return f.Open() // closing would only tell that the sum was not checked: it is, at the end of the data
			}
		}
	}
	return files[0].Open()
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
