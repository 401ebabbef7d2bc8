package watch

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// maxFolders bounds the folders watched by notification. What lies in more is polled.
const maxFolders = 512

var (
	errTooMany = errors.New("more files than can be watched; only the first are")
	errTooWide = errors.New("more folders than can be watched; the rest is polled")
)

// folder is a watched folder.
type folder struct {
	info os.FileInfo // which folder of that name it is
	leaf bool        // files that matter lie in it, so that whatever happens in it concerns us
}

// follow has the system watch the folders that matter now. A folder may come between the looking and the watching, so it
// looks again until nothing new is found.
func (w *Watcher) follow() {
	if w.notify == nil {
		return
	}
	for range 8 {
		if !w.adjust(w.wanted()) {
			return
		}
	}
}

// adjust makes the watched folders the wanted ones and reports whether it had to add one.
func (w *Watcher) adjust(wanted map[string]bool) (added bool) {
	for dir, have := range w.folders {
		info, err := os.Stat(dir)
		if _, ok := wanted[dir]; ok && err == nil && os.SameFile(info, have.info) {
			continue
		}
		// Removing the watch of a folder that is gone fails, as it ended by itself.
		_ = w.notify.Remove(dir)
		delete(w.folders, dir)
	}
	for dir, leaf := range wanted {
		if have, ok := w.folders[dir]; ok {
			have.leaf = leaf
			w.folders[dir] = have
			continue
		}
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		if err := w.notify.Add(dir); err != nil {
			if !errors.Is(err, os.ErrNotExist) {
				w.complain(dir, err)
			}
			continue
		}
		w.folders[dir] = folder{info, leaf}
		added = true
	}
	return added
}

// wanted are the folders to watch now by their real paths, each with whether it is a leaf: for every pattern the folders that
// its files lie in, or would; the folder above those, where they could be replaced; where they are missing, the nearest folder
// that is there; and the folders that hold a symbolic link on the way. A folder further up that is renamed is found by the
// poll. Real paths, since a system tells of a folder that is watched under two names under one of them only.
func (w *Watcher) wanted() map[string]bool {
	dirs := make(map[string]bool)
	w.links = make(map[string]bool)
	add := func(dir string, leaf bool) {
		if _, ok := dirs[dir]; !ok && len(dirs) >= maxFolders {
			w.complain("folders", errTooWide)
			return
		}
		dirs[dir] = dirs[dir] || leaf
	}
	for _, p := range w.patterns {
		if real, ok := realFolder(p); ok {
			add(real, true)
		}
		for _, dir := range parents(p) {
			if real, ok := realFolder(dir); ok {
				add(real, true)
			}
			w.above(dir, add)
		}
		for i, name := range Expand(p) {
			if i == maxFolders {
				break
			}
			if isLink(name) {
				if target, err := filepath.EvalSymlinks(name); err == nil {
					add(filepath.Dir(target), true)
				}
			}
		}
	}
	return dirs
}

// above adds the nearest folder above dir that exists, and of those further up the ones that hold a symbolic link.
func (w *Watcher) above(dir string, add func(dir string, leaf bool)) {
	found := false
	for up := filepath.Dir(dir); up != dir; dir, up = up, filepath.Dir(up) {
		if found && !isLink(dir) {
			continue
		}
		if real, ok := realFolder(up); ok {
			found = true
			add(real, false)
			w.links[filepath.Join(real, filepath.Base(dir))] = true
		}
	}
}

// parents are the folders in which what pattern names lies or would lie. A glob in the name of a folder is expanded, and the
// folders that it is looked for in count too.
func parents(pattern string) []string {
	dir := filepath.Dir(pattern)
	if !hasMeta(dir) || isFolder(dir) {
		return []string{dir}
	}
	return append(parents(dir), Expand(dir)...)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// realFolder is the path of a folder without symbolic links, not ok where there is no such folder.
func realFolder(path string) (string, bool) {
	if !isFolder(path) {
		return "", false
	}
	real, err := filepath.EvalSymlinks(path)
	return real, err == nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// concerns reports whether a notification may be about what the patterns name: it is for something in a leaf, for a watched
// folder itself, or for a name on the way to the files.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	if f, ok := w.folders[filepath.Dir(e.Name)]; ok && f.leaf {
		return true
	}
	_, watched := w.folders[e.Name]
	return watched || w.links[e.Name]
}
