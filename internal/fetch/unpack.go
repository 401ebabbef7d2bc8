package fetch

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
)

// Packed says what to take out of a file that may be packed.
type Packed struct {
	// Extensions are those of the file that is wanted out of an archive, the best first, as in ".mmdb". Without one that matches,
	// the archive's only file is taken.
	Extensions []string
	// Member is the name of that file, or a pattern of it (as of [path.Match]), with its folder or without; empty where Extensions
	// tell.
	Member string
	// Limit is the most bytes that are unpacked; 0 for DefaultLimit.
	Limit int64
}

const (
	maxMembers = 10_000 // of an archive
	headRoom   = 512    // bytes that tell what a file is
)

// Unpack writes to w what is in the file: a gzip, a zip, or a tar in a gzip or by itself, by its first bytes whatever it is called;
// what is none of these is written as it is. Web pages and packings that are not known are errors.
func Unpack(ctx context.Context, file *os.File, p Packed, w io.Writer) (int64, error) {
	if p.Limit <= 0 {
		p.Limit = DefaultLimit
	}
	in, err := p.open(ctx, file)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, p.bounded(ctx, in))
	if err == nil && n == 0 {
		err = &MismatchError{"it is empty"}
	}
	return n, unpackError(err)
}

// unpackError says of a file that cannot be read that it is not what it should be.
func unpackError(err error) error {
	var path *fs.PathError
	var corrupt flate.CorruptInputError
	switch {
	case err == nil, errors.As(err, &path), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &MismatchError{"it ends in the middle"}
	case errors.As(err, &corrupt), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, tar.ErrHeader),
		errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrAlgorithm):
		return &MismatchError{"unpacking it: " + err.Error()}
	}
	return err
}

func (p *Packed) open(ctx context.Context, file *os.File) (io.Reader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(file, 64<<10)
	head, _ := r.Peek(headRoom)
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return p.zip(file, info.Size())
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, unpackError(err)
		}
		r = bufio.NewReaderSize(z, 64<<10)
		if head, err = r.Peek(headRoom); err != nil && err != io.EOF {
			return nil, unpackError(err)
		}
	}
	if isTar(head) {
		return p.tar(p.bounded(ctx, r)) // what is read over counts too
	}
	return r, known(head)
}

// known is an error for what cannot be data, and for packings that are not known.
func known(head []byte) error {
	for magic, name := range map[string]string{
		"\xfd7zXZ\x00": "xz", "\x28\xb5\x2f\xfd": "zstd", "BZh": "bzip2", "7z\xbc\xaf\x27\x1c": "7z", "Rar!": "rar", "\x1f\x8b": "gzip in gzip",
		"PK\x03\x04": "zip in gzip",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return &MismatchError{"it is packed as " + name + ", which is not known: gzip, zip and tar are"}
		}
	}
	if strings.HasPrefix(http.DetectContentType(head), "text/html") {
		return &MismatchError{"it is a web page: is the URL right, and the token if it takes one?"}
	}
	return nil
}

// isTar goes by the magic of POSIX and GNU tar.
func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

func (p *Packed) zip(file *os.File, size int64) (io.Reader, error) {
	z, err := zip.NewReader(file, size)
	if err != nil {
		return nil, unpackError(err)
	}
	if len(z.File) > maxMembers {
		return nil, &MismatchError{fmt.Sprintf("the archive has more than %d files", maxMembers)}
	}
	var names []string
	for _, f := range z.File {
		if f.Mode().IsRegular() {
			names = append(names, f.Name)
		}
	}
	name, err := p.choose(names)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == name })
	r, err := z.File[i].Open() // closing it would only tell that the sum was not checked: it is, at the end of the data
	return r, unpackError(err)
}

// tar is the first file of the right name in a tar: what comes after it is not looked at, as it would have to be unpacked for that.
func (p *Packed) tar(r io.Reader) (io.Reader, error) {
	t := tar.NewReader(r)
	for range maxMembers {
		h, err := t.Next()
		if err == io.EOF {
			return nil, &MismatchError{"the archive has no " + p.wanted()}
		}
		if err != nil {
			return nil, unpackError(err)
		}
		if h.Typeflag == tar.TypeReg && p.is(h.Name) {
			return t, nil
		}
	}
	return nil, &MismatchError{fmt.Sprintf("the archive has more than %d files", maxMembers)}
}

func (p *Packed) wanted() string {
	if p.Member != "" {
		return p.Member
	}
	return "file " + strings.Join(p.Extensions, " or ")
}

// is reports whether a file of that name is wanted.
func (p *Packed) is(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, "._") { // what macOS puts beside files
		return false
	}
	if p.Member != "" {
		whole, _ := path.Match(p.Member, name)
		alone, _ := path.Match(p.Member, base)
		return whole || alone
	}
	return len(p.Extensions) == 0 || slices.ContainsFunc(p.Extensions, func(ext string) bool { return strings.EqualFold(path.Ext(base), ext) })
}

// choose is the name of the file that is wanted.
func (p *Packed) choose(names []string) (string, error) {
	var fit []string
	for _, n := range names {
		if p.is(n) {
			fit = append(fit, n)
		}
	}
	rank := func(name string) int {
		return slices.IndexFunc(p.Extensions, func(ext string) bool { return strings.EqualFold(path.Ext(name), ext) })
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1 && p.Member == "":
		slices.SortStableFunc(fit, func(a, b string) int { return rank(a) - rank(b) })
		if rank(fit[0]) != rank(fit[1]) {
			return fit[0], nil
		}
		return "", &MismatchError{fmt.Sprintf("the archive has several files that it could be, as %q and %q; say which with member", fit[0], fit[1])}
	case len(fit) > 1:
		return "", &MismatchError{fmt.Sprintf("the archive has several files that are %s, as %q and %q", p.Member, fit[0], fit[1])}
	case len(names) == 1 && p.Member == "":
		return names[0], nil
	}
	return "", &MismatchError{"the archive has no " + p.wanted()}
}

func (p *Packed) bounded(ctx context.Context, r io.Reader) io.Reader {
	return &bounded{ctx, r, p.Limit, p.Limit}
}

// bounded fails where there is more than there may be, or when it has taken too long.
type bounded struct {
	ctx         context.Context
	r           io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &MismatchError{fmt.Sprintf("it has more than %d bytes unpacked", b.limit)}
	}
	return n, err
}
