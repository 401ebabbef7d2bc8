package records

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/watch"
)

// maxDepth is how many folders deep a record may lie below the folder.
const maxDepth = 4

// racy is how much older than its reading a file must be for its fingerprint to tell that it has not changed since: time stamps
// are no finer than the file system makes them.
const racy = 2 * time.Second

// file is a record with what tells whether it changed.
type file struct {
	print watch.Fingerprint // of what was read, symbolic links followed; zero for the refused
	read  time.Time
	entry *entry
}

// loader reads the folder once.
type loader struct {
	root     *os.Root
	base     string // the folder, symbolic links resolved
	maxFile  int64
	maxFiles int
	maxBytes int64
	now      func() time.Time
	prev     map[string]*file // what the last reading found
	reread   bool             // read also what looks unchanged

	files    map[string]*file
	problems map[string]string // by path: why it is left out, or served as it was
	bytes    int64
	seen     int // directory entries
	leftOut  int // files beyond the bounds
	changed  bool
}

// load reads the folder dir. Files that have not changed since prev are taken from there.
func (l *loader) load(dir string) error {
	l.files, l.problems = make(map[string]*file), make(map[string]string)
	base, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if base, err = filepath.Abs(base); err != nil {
		return err
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	defer root.Close()
	l.root, l.base = root, base
	if err := l.folder("", ".", nil); err != nil {
		return err
	}
	if l.leftOut > 0 {
		l.problems[""] = fmt.Sprintf("more than %d files or %d bytes: in order of name, the %d that no longer fit are left out",
			l.maxFiles, l.maxBytes, l.leftOut)
	}
	l.changed = l.changed || len(l.files) != len(l.prev)
	return nil
}

// folder reads the folder that is called name and lies at the path at; the two differ below a symbolic link.
func (l *loader) folder(name, at string, above []fs.FileInfo) error {
	names, self, err := l.list(at)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, self) }) {
		return errors.New("a symbolic link to a folder that it lies in")
	}
	if len(above) > maxDepth {
		return fmt.Errorf("more than %d folders deep", maxDepth)
	}
	above = append(slices.Clip(above), self)
	for _, n := range names {
		if hidden(n) {
			continue
		}
		l.one(path.Join(name, n), path.Join(at, n), above)
	}
	return nil
}

// list returns the names in a folder, sorted, as far as the bound on files makes sense of them.
func (l *loader) list(at string) (names []string, self fs.FileInfo, err error) {
	d, err := l.root.Open(at)
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	if self, err = d.Stat(); err != nil {
		return nil, nil, err
	}
	for l.seen <= 2*l.maxFiles {
		batch, err := d.ReadDir(1024)
		for _, e := range batch {
			names = append(names, e.Name())
		}
		l.seen += len(batch)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(names)
	return names, self, nil
}

// one takes in one directory entry. What goes wrong is a problem of that entry alone: what was read from there before serves on.
func (l *loader) one(name, at string, above []fs.FileInfo) {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		l.problems[name] = "a name with control characters or invalid UTF-8 cannot be asked for"
		return
	}
	info, at, err := l.stat(at)
	switch {
	case errors.Is(err, errOutside):
		l.problems[name] = err.Error()
		l.refuse(name)
	case err != nil:
		l.keep(name, err)
	case info.IsDir():
		if err := l.folder(name, at, above); err != nil {
			l.keep(name, err)
		}
	case !info.Mode().IsRegular():
		l.problems[name] = "not a regular file"
	default:
		l.file(name, at, info)
	}
}

var errOutside = errors.New("a symbolic link that leads out of the folder is not followed")

// stat follows symbolic links, but not out of the folder, and returns the path that opens what they lead to. An os.Root follows
// no absolute link; one that comes out inside the folder is replaced by the relative path that leads there.
func (l *loader) stat(at string) (fs.FileInfo, string, error) {
	info, err := l.root.Stat(at)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ELOOP) {
		return info, at, err
	}
	target, everr := filepath.EvalSymlinks(filepath.Join(l.base, at))
	if everr != nil {
		return nil, at, errOutside
	}
	rel, rerr := filepath.Rel(l.base, target)
	if rerr != nil || !filepath.IsLocal(rel) {
		return nil, at, errOutside
	}
	info, err = l.root.Stat(rel)
	return info, filepath.ToSlash(rel), err
}

// keep notes a problem and leaves the records at and below name as they were.
func (l *loader) keep(name string, err error) {
	l.problems[name] = err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		return // removed while we looked, or a link to nothing
	}
	for n, f := range l.prev {
		if (n == name || strings.HasPrefix(n, name+"/")) && !f.entry.refused {
			l.files[n] = f
			l.bytes += f.print.Size
		}
	}
}

func (l *loader) refuse(name string) {
	f := l.prev[name]
	if f == nil || !f.entry.refused {
		f = &file{entry: &entry{name: name, subject: subjectOf(name), refused: true}}
		l.changed = true
	}
	l.files[name] = f
}

// file takes in a regular file, from prev where it has not changed.
func (l *loader) file(name, at string, info fs.FileInfo) {
	if len(l.files) >= l.maxFiles || l.bytes+info.Size() > l.maxBytes {
		l.leftOut++
		return
	}
	prev := l.prev[name]
	known := prev != nil && prev.print == watch.FingerprintOf(info)
	if known && !l.reread && prev.read.Sub(info.ModTime()) > racy {
		l.files[name] = prev
		l.bytes += info.Size()
		return
	}
	read := l.now()
	content, info, err := l.read(at)
	if err != nil {
		l.keep(name, err)
		return
	}
	l.bytes += info.Size()
	print, text := watch.FingerprintOf(info), verbatim(content)
	if known && prev.print == print && prev.entry.fragment.Verbatim() == text {
		l.files[name] = &file{print, read, prev.entry}
		return
	}
	l.changed = true
	l.files[name] = &file{print, read, newEntry(name, text, info.ModTime())}
}

// read reads a regular file. What lies at the path may have been changed since it was looked at: opening does not wait for the
// other end of a pipe, and what was opened is looked at again.
func (l *loader) read(at string) ([]byte, fs.FileInfo, error) {
	f, err := l.root.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	content, err := io.ReadAll(io.LimitReader(f, l.maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(content)) > l.maxFile {
		return nil, nil, fmt.Errorf("larger than %d bytes", l.maxFile)
	}
	return content, info, nil
}

// newEntry makes the record of a file's text.
func newEntry(name, text string, modified time.Time) *entry {
	b := enrich.NewBuilder(&enrich.Origin{Source: "records", Name: name, Built: modified.UTC().Truncate(time.Second)})
	b.Verbatim(text)
	addFields(b, text)
	return &entry{name: name, subject: subjectOf(name), fragment: b.Build()}
}

// hidden tells what is no record by its name: dot-files, and what editors leave behind.
func hidden(name string) bool {
	return name[0] == '.' || name[len(name)-1] == '~' || name[0] == '#' && name[len(name)-1] == '#'
}
