package caddycommands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/whence-project/whence/annotate"
)

// source is a log to read.
type source struct {
	name string // "-" for standard input
	file *os.File
	size int64 // -1 where it is not known
	mode fs.FileMode
}

// openAll opens the logs before anything is written, so that a name that is wrong is told of at once.
func openAll(names []string) (sources []*source, err error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	defer func() {
		if err != nil {
			closeAll(sources)
		}
	}()
	for _, name := range names {
		s := &source{name: name, file: os.Stdin, size: -1}
		if name != "-" {
			if s.file, err = os.Open(name); err != nil {
				return sources, err
			}
		}
		sources = append(sources, s)
		info, err := s.file.Stat()
		switch {
		case err != nil:
			return sources, err
		case info.IsDir():
			return sources, fmt.Errorf("%s is a folder: name the files in it", name)
		case info.Mode().IsRegular():
			s.size, s.mode = info.Size(), info.Mode().Perm()
		}
	}
	return sources, nil
}

func closeAll(sources []*source) {
	for _, s := range sources {
		s.file.Close()
	}
}

// files annotates the logs, one behind the other.
func (a *annotation) files(ctx context.Context, an *annotate.Annotator, names []string) (err error) {
	if a.inPlace && (len(names) == 0 || slices.Contains(names, "-")) {
		return errors.New("--in-place needs files: standard input has no place")
	}
	sources, err := openAll(names)
	if err != nil {
		return err
	}
	defer closeAll(sources)
	var total int64
	for _, s := range sources {
		if s.size < 0 || total < 0 {
			total = -1
		} else {
			total += s.size
		}
	}
	bar := progress(total, "annotating", true)
	if bar != nil {
		defer bar.Finish()
	}
	switch {
	case a.inPlace:
		for _, s := range sources {
			if err := a.replace(ctx, an, s, bar); err != nil {
				return err
			}
		}
		return nil
	case a.output != "" && a.output != "-":
		return a.toFile(ctx, an, sources, bar)
	}
	for _, s := range sources {
		if err := one(ctx, an, s, os.Stdout, nil, bar); err != nil {
			return err
		}
	}
	return nil
}

// toFile writes all logs to the output. Where it is interrupted, only what was read from standard input is taken to have ended there.
func (a *annotation) toFile(ctx context.Context, an *annotate.Annotator, sources []*source, bar *progressbar.ProgressBar) error {
	out, err := newOutput(a.output, 0o666)
	if err != nil {
		return err
	}
	defer out.discard()
	packing := packingOf(a.output)
	for _, s := range sources {
		err := one(ctx, an, s, out, func(annotate.Packing) (annotate.Packing, error) { return packing, nil }, bar)
		if errors.Is(err, context.Canceled) && len(sources) == 1 && s.name == "-" {
			return errors.Join(out.keep(), err)
		}
		if err != nil {
			return err
		}
	}
	closeAll(sources) // one may be what is replaced, which some systems refuse while it is open
	return out.keep()
}

// packingOf is how a file of that name is packed.
func packingOf(name string) annotate.Packing {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".gz":
		return annotate.Gzip
	case ".zst":
		return annotate.Zstd
	}
	return annotate.Plain
}

// replace puts what was made of a log in its place, packed as it was.
func (a *annotation) replace(ctx context.Context, an *annotate.Annotator, s *source, bar *progressbar.ProgressBar) error {
	if s.size < 0 {
		return fmt.Errorf("%s is no regular file, and cannot be replaced", s.name)
	}
	name, err := filepath.EvalSymlinks(s.name)
	if err != nil {
		return err
	}
	out, err := newOutput(name, s.mode)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := out.Chmod(s.mode); err != nil { // the umask does not count for a file that there is
		return err
	}
	same := func(p annotate.Packing) (annotate.Packing, error) {
		if p == annotate.Bzip2 {
			return p, fmt.Errorf("%s is packed with bzip2, which can only be read: write another file with --output", s.name)
		}
		return p, nil
	}
	if err := one(ctx, an, s, out, same, bar); err != nil {
		return err
	}
	s.file.Close() // some systems do not replace what is open
	return out.keep()
}

// one annotates one log. pack says how what goes out is packed, by how what comes in is; nil is not at all.
func one(ctx context.Context, an *annotate.Annotator, s *source, out io.Writer, pack func(annotate.Packing) (annotate.Packing, error), bar *progressbar.ProgressBar) error {
	var in io.Reader = s.file
	if bar != nil {
		in = io.TeeReader(in, bar)
	}
	in, packing, err := annotate.Unpack(in)
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.name, err)
	}
	log := annotate.Log{Name: s.name, In: in, Out: out, Live: s.size < 0 && packing == annotate.Plain}
	if pack != nil {
		if log.Pack, err = pack(packing); err != nil {
			return err
		}
	}
	return an.Annotate(ctx, log)
}

// output is a file that gets its name when it is whole.
type output struct {
	*os.File
	name string
}

func newOutput(name string, mode fs.FileMode) (*output, error) {
	part := fmt.Sprintf("%s.%d.part", name, os.Getpid()) // of this process alone
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return nil, err
	}
	return &output{f, name}, nil
}

// keep gives the file its name.
func (o *output) keep() error {
	if err := o.Close(); err != nil {
		return err
	}
	part := o.Name()
	o.File = nil
	return os.Rename(part, o.name)
}

// discard removes a file that was not kept.
func (o *output) discard() {
	if o.File != nil {
		o.Close()
		os.Remove(o.Name())
	}
}
