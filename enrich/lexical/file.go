package lexical

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/whence-project/whence/internal/hotfiles"
)

// file is a table with what its file says of itself.
type file struct {
	table    *Table
	size     int64
	modified time.Time
}

func loadFile(_ context.Context, path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is refused, not waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxTable+1))
	if err != nil {
		return nil, err
	}
	t, err := ParseTable(data)
	if err != nil {
		return nil, err
	}
	return &file{t, info.Size(), info.ModTime().UTC().Truncate(time.Second)}, nil
}

// describe counts the different pairs that a table knows as its records.
func describe(f *file) hotfiles.FileStatus {
	typ := "freq table"
	if f.size == 0 {
		typ += ", compiled in"
	}
	return hotfiles.FileStatus{Type: typ, Built: f.modified, Records: f.table.known, Bytes: f.size}
}
