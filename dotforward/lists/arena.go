package lists

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"
)

// The entries of a file lie one behind the other in chunks: the line, counted from the chunk's first (3 bytes), a [flags] byte, the
// name on the wire, and what the flags announce. No entry is spread over two chunks, so a file grows without being copied, and
// the chunks of several files make one table without being copied either.
const (
	chunkBits = 20
	chunkSize = 1 << chunkBits
	maxChunks = 1 << (32 - chunkBits) // places of entries are 32 bits wide
	head      = 4                     // bytes before a name
	maxDelta  = 1<<24 - 1
)

// flags say what an entry is.
type flags uint8

const (
	self      flags = 1 << iota // holds for the name itself
	below                       // holds for the names below it
	allow                       // an exception
	important                   // goes before what is not
	extra4    flags = 1 << 6    // 4 bytes follow the name
	extra16   flags = 1 << 7    // 16 bytes follow the name

	meaning = self | below | allow | important
	extras  = extra4 | extra16
)

// extra is how many bytes follow the name.
func (f flags) extra() int {
	switch {
	case f&extra4 != 0:
		return 4
	case f&extra16 != 0:
		return 16
	}
	return 0
}

// arena are the entries of one file.
type arena struct {
	chunks []chunk
	count  int
}

type chunk struct {
	data []byte
	line int // the first line that has an entry in it
}

var errTooLarge = errors.New("more names than fit")

// add takes in an entry. The name is a whole one on the wire; extra is as long as f says.
func (a *arena) add(line int, f flags, name, extra []byte) error {
	need := head + len(name) + len(extra)
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last].data)+need > chunkSize || line-a.chunks[last].line > maxDelta {
		if len(a.chunks) == maxChunks {
			return errTooLarge
		}
		a.close()
		a.chunks = append(a.chunks, chunk{data: make([]byte, 0, chunkSize), line: line})
		last++
	}
	c := &a.chunks[last]
	delta := uint32(line - c.line)
	c.data = append(c.data, byte(delta), byte(delta>>8), byte(delta>>16), byte(f))
	c.data = append(append(c.data, name...), extra...)
	a.count++
	return nil
}

// close gives back what the last chunk does not use: a file of ten names is small.
func (a *arena) close() {
	if n := len(a.chunks); n > 0 {
		c := &a.chunks[n-1]
		if cap(c.data)-len(c.data) > chunkSize/64 {
			c.data = slices.Clone(c.data)
		}
	}
}

// entry is what lies at one place.
type entry []byte

func (e entry) flags() flags { return flags(e[3]) }

// line is the entry's line, counted from its chunk's first.
func (e entry) line() int { return int(e[0]) | int(e[1])<<8 | int(e[2])<<16 }

// is reports whether the entry's name is name: no name on the wire is the beginning of another.
func (e entry) is(name []byte) bool {
	return len(e) >= head+len(name) && string(e[head:head+len(name)]) == string(name)
}

// name is the entry's name.
func (e entry) name() []byte { return e[head : head+nameLen(e[head:])] }

// extra is what follows a name that is n bytes long.
func (e entry) extra(n int) []byte { return e[head+n:][:e.flags().extra()] }

// number is the 4 bytes that follow a name that is n bytes long.
func (e entry) number(n int) uint32 { return binary.LittleEndian.Uint32(e.extra(n)) }

// entries are those of a chunk with their offsets in it.
func (c chunk) entries() iter.Seq2[int, entry] {
	return func(yield func(int, entry) bool) {
		for at := 0; at < len(c.data); {
			e := entry(c.data[at:])
			n := nameLen(e[head:])
			if !yield(at, e) {
				return
			}
			at += head + n + e.flags().extra()
		}
	}
}
