package stream

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

const (
	prefixLen  = 2       // the length in front of each message (RFC 1035 section 4.2.2)
	readBuffer = 4 << 10 // holds what a client pipelines in one go; a longer frame gets a buffer of its own
)

var errFrame = errors.New("a frame shorter than a DNS header")

// frames takes the frames out of what is read.
type frames struct {
	buf   []byte // of which r to w is unread
	r, w  int
	since time.Time // when the frame that is not complete began to be waited for
}

var buffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// next is the next complete message, in the buffer until fill is called. It is nil where there is none. After errFrame nothing
// that follows can be trusted to begin where a frame does.
func (f *frames) next() ([]byte, error) {
	if f.w-f.r < prefixLen {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint16(f.buf[f.r:]))
	if n < wire.HeaderLen {
		return nil, errFrame
	}
	end := f.r + prefixLen + n
	if end > f.w {
		return nil, nil
	}
	msg := f.buf[f.r+prefixLen : end : end]
	f.r = end
	return msg, nil
}

// fill reads once. It is called when next has no more, so that what is in the buffer is the beginning of one frame.
func (f *frames) fill(from io.Reader) error {
	f.makeRoom()
	n, err := from.Read(f.buf[f.w:])
	f.w += n
	return err
}

// makeRoom moves the beginning of a frame to the front of a buffer that the rest of it fits in. A long frame's own buffer is left
// when it has been read, so that an idle connection holds a small one.
func (f *frames) makeRoom() {
	rest := f.buf[f.r:f.w]
	size := readBuffer
	if len(rest) >= prefixLen {
		size = max(size, prefixLen+int(binary.BigEndian.Uint16(rest)))
	}
	if size != len(f.buf) {
		old := f.buf
		if size == readBuffer {
			f.buf = buffers.Get().(*[readBuffer]byte)[:]
		} else {
			f.buf = make([]byte, size)
		}
		copy(f.buf, rest)
		giveBack(old)
	} else if f.r > 0 {
		copy(f.buf, rest)
	}
	f.r, f.w = 0, len(rest)
}

// free gives the buffer back; messages in it are not valid any more.
func (f *frames) free() {
	giveBack(f.buf)
	f.buf, f.r, f.w = nil, 0, 0
}

func giveBack(buf []byte) {
	if len(buf) == readBuffer {
		buffers.Put((*[readBuffer]byte)(buf))
	}
}

// partial reports whether the buffer holds the beginning of a frame.
func (f *frames) partial() bool { return f.w > f.r }
