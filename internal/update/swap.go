package update

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// part is the ending of files that are being written.
const part = ".part"

// abandoned is how old a file must be that is being written to be taken for one whose writer was killed.
const abandoned = 24 * time.Hour

// create makes a file to write, beside the data file and so in its file system. It has the mode that a new data file would have.
func create(file string) (*os.File, error) {
	for {
		name := beside(file, "."+strconv.FormatUint(rand.Uint64(), 36)+part)
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// sweep removes what processes that were killed left beside the data file.
func sweep(file string, now time.Time) {
	entries, _ := os.ReadDir(filepath.Dir(file))
	ours := filepath.Base(beside(file, "."))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ours) || !strings.HasSuffix(e.Name(), part) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > abandoned {
			os.Remove(filepath.Join(filepath.Dir(file), e.Name()))
		}
	}
}

// swap puts the file that is called from in place of the other in one step. What was written is on the disk before, and the name
// after.
func swap(from, file string) error {
	f, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if info, err := os.Stat(file); err == nil {
		_ = f.Chmod(info.Mode().Perm()) // where that fails, the one of a new file is good enough
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(from, file); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(file)); err == nil {
		_ = dir.Sync() // not all systems can
		dir.Close()
	}
	return nil
}

// file is the file that the path means: where a part of that is a symbolic link, what it points to is replaced, and not the link.
func (u *Updater) file() string {
	if target, err := filepath.EvalSymlinks(u.o.File); err == nil {
		return target
	}
	dir, name := filepath.Split(u.o.File)
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		return filepath.Join(target, name)
	}
	return u.o.File
}
