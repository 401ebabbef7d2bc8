package watch

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds the files that one pattern is followed to. More than that is a mistake in the pattern.
const maxFiles = 100_000

// Fingerprint tells one state of a file from another without reading it. It is comparable; the zero Fingerprint is no file's.
type Fingerprint struct {
	Size     int64
	Modified int64  // time of the last write, Unix nanoseconds
	Changed  int64  // time the inode changed last, Unix nanoseconds; 0 on systems without
	Inode    uint64 // 0 on systems without
	Device   uint64 // 0 on systems without
	Folder   bool
}

// Stat is the fingerprint of the file at path; symbolic links are followed.
func Stat(path string) (Fingerprint, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Fingerprint{}, err
	}
	return FingerprintOf(info), nil
}

// FingerprintOf is the fingerprint of what info describes. Of a folder it tells only which one it is: what happens in it are
// changes of its files.
func FingerprintOf(info fs.FileInfo) Fingerprint {
	f := Fingerprint{Size: info.Size(), Modified: info.ModTime().UnixNano(), Folder: info.IsDir()}
	f.system(info)
	if f.Folder {
		f.Size, f.Modified, f.Changed = 0, 0, 0
	}
	return f
}

// Expand is what pattern names at the moment, in the order of the names: the files that a glob matches, or the one file or
// folder of that very name, be there metacharacters in it. It is empty where there is none.
func Expand(pattern string) []string {
	if !hasMeta(pattern) {
		if _, err := os.Stat(pattern); err != nil {
			return nil
		}
		return []string{pattern}
	}
	if _, err := os.Lstat(pattern); err == nil {
		return []string{pattern}
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return IsOwn(filepath.Base(name)) })
	slices.Sort(names)
	return names
}

// Own begins the names of the files that are written beside data while they are brought up to date. No glob and no folder has them.
const Own = ".whence-"

// IsOwn reports whether a file of that name, without its folder, is one of those.
func IsOwn(name string) bool { return strings.HasPrefix(name, Own) }

// hasMeta reports whether pattern has a metacharacter of filepath.Match.
func hasMeta(pattern string) bool {
	if filepath.Separator != '\\' && strings.ContainsRune(pattern, '\\') {
		return true
	}
	return strings.ContainsAny(pattern, "*?[")
}

// snapshot is what the patterns name at one moment.
type snapshot map[string]Fingerprint

func (s snapshot) equal(t snapshot) bool { return maps.Equal(s, t) }

// take looks at every file that the patterns name, and at every file in a folder that they name.
func (w *Watcher) take() snapshot {
	s := make(snapshot, len(w.told))
	for _, p := range w.patterns {
		for i, name := range Expand(p) {
			if i == maxFiles {
				w.complain(p, errTooMany)
				break
			}
			f, err := Stat(name)
			if err != nil {
				continue // vanished meanwhile, or a symbolic link to nowhere
			}
			s[name] = f
			if f.Folder && (!hasMeta(p) || name == p) {
				w.takeFolder(s, name)
			}
		}
	}
	return s
}

func (w *Watcher) takeFolder(s snapshot, dir string) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return // vanished meanwhile
	}
	if err != nil {
		w.complain(dir, err)
		return
	}
	for i, e := range entries {
		if i == maxFiles {
			w.complain(dir, errTooMany)
			return
		}
		if IsOwn(e.Name()) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		if f, err := Stat(name); err == nil {
			s[name] = f
		}
	}
}
