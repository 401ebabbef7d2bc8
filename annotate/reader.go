package annotate

import (
	"bytes"
	"io"
)

// chunkSize is how many bytes are annotated together: what is read, what is written and a worker's cache stay within the
// processor's caches.
const chunkSize = 128 << 10

// chunk is some whole lines on their way through.
type chunk struct {
	in      []byte
	out     []byte
	first   bool // it begins the log
	raw     bool // a part of a line that is too long, which passes as it is
	tooLong bool // the first part of one
	layout  *layout
	err     error
	done    chan struct{}
}

// reader cuts a log into chunks.
type reader struct {
	src    io.Reader
	layout func(sample []byte) (*layout, error)
	enough func(sample []byte) bool
	limit  int // of a line
	fill   int // how many bytes a chunk has at least, but for the last

	laid  *layout
	carry []byte // what has been read behind the last chunk
	skip  bool   // in a line that is too long
	end   error  // why nothing more comes
}

// next reads a chunk. It returns an error, and no chunk, behind the last: io.EOF, or why the log could not be read on.
func (r *reader) next(c *chunk) error {
	c.in, c.raw, c.tooLong, c.first = append(c.in[:0], r.carry...), false, false, r.laid == nil
	r.carry = r.carry[:0]
	for {
		if end := r.cut(c); end > 0 {
			r.carry = append(r.carry[:0], c.in[end:]...)
			c.in, c.layout = c.in[:end], r.laid
			return nil
		}
		if r.end != nil {
			return r.end
		}
		r.read(c)
	}
}

// cut is where the chunk can end, 0 where more must be read.
func (r *reader) cut(c *chunk) int {
	eof := r.end != nil
	full := eof || len(c.in) >= r.limit
	switch {
	case len(c.in) == 0, !full && len(c.in) < r.fill:
		return 0
	case r.skip:
		end := lastOfLine(c.in)
		r.skip, c.raw = end == 0, true
		if end == 0 {
			end = len(c.in)
		}
		return end
	}
	if r.laid == nil {
		if lines := lastLine(c.in); !full && (lines == 0 || !r.enough(c.in[:lines])) {
			return 0
		} else if c.err = r.lay(c.in, lines); c.err != nil {
			return len(c.in)
		}
	}
	end := r.laid.end(c.in)
	switch {
	case end > 0:
	case eof:
		end = len(c.in)
	case full:
		if end = lastLine(c.in); end == 0 { // no record ends here, but a line may
			r.skip, c.raw, c.tooLong = true, true, true
			end = len(c.in)
		}
	}
	return end
}

// lay finds out how the log is annotated.
func (r *reader) lay(b []byte, lines int) (err error) {
	if lines > 0 && r.end == nil {
		b = b[:lines]
	}
	r.laid, err = r.layout(b)
	return err
}

// lastOfLine is where the first line of b ends.
func lastOfLine(b []byte) int { return 1 + bytes.IndexByte(b, '\n') }

// read reads once, or more often where nothing comes. A chunk has no more bytes than a line may have, so that no longer one gets in.
func (r *reader) read(c *chunk) {
	if cap(c.in)-len(c.in) < chunkSize/4 {
		c.in = append(make([]byte, 0, max(2*cap(c.in), chunkSize)), c.in...)
	}
	for range 100 {
		n, err := r.src.Read(c.in[len(c.in):min(cap(c.in), r.limit)])
		c.in = c.in[:len(c.in)+n]
		if r.end = err; n > 0 || err != nil {
			return
		}
	}
	r.end = io.ErrNoProgress
}
