package annotate

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Packing is how a log is compressed.
type Packing uint8

// The packings.
const (
	Plain Packing = iota
	Gzip          // RFC 1952
	Zstd          // RFC 8878
	Bzip2         // to be read only
)

// packed is how many bytes are packed together: each chunk is a member of the gzip file, or a frame, so that all cores pack.
const packed = 512 << 10

// maxWindow is how much memory a zstd file may ask for, as zstd itself has it.
const maxWindow = 128 << 20

var magics = [...]struct {
	magic   string
	packing Packing
}{{"\x1f\x8b\x08", Gzip}, {"\x28\xb5\x2f\xfd", Zstd}, {"BZh", Bzip2}}

// Unpack is what a log is when it is unpacked, and how it was packed, by its first bytes. It reads these.
func Unpack(r io.Reader) (io.Reader, Packing, error) {
	const head = 16 // the least buffer, so that larger reads go past it
	b := bufio.NewReaderSize(r, head)
	start, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, Plain, err
	}
	for _, m := range magics {
		if bytes.HasPrefix(start, []byte(m.magic)) {
			out, err := unpack(bufio.NewReaderSize(b, chunkSize), m.packing)
			if err != nil {
				return nil, Plain, fmt.Errorf("it begins as a packed file does, but %w", err)
			}
			return out, m.packing, nil
		}
	}
	return b, Plain, nil
}

func unpack(r io.Reader, p Packing) (io.Reader, error) {
	switch p {
	case Gzip:
		return gzip.NewReader(r)
	case Zstd:
		return zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
	}
	return bzip2.NewReader(r), nil
}

// packers are what a worker packs with.
type packers struct {
	gzip *gzip.Writer
	zstd *zstd.Encoder
	out  bytes.Buffer
	buf  []byte
}

// pack packs b. What it returns is good until the worker packs again, or b itself.
func (w *worker) pack(p Packing, b []byte) ([]byte, error) {
	k := &w.packers
	switch p {
	case Gzip:
		k.out.Reset()
		if k.gzip == nil {
			k.gzip = gzip.NewWriter(&k.out)
		} else {
			k.gzip.Reset(&k.out)
		}
		_, err := k.gzip.Write(b)
		if err = errors.Join(err, k.gzip.Close()); err != nil {
			return nil, err
		}
		return append(b[:0], k.out.Bytes()...), nil
	case Zstd:
		if k.zstd == nil {
			var err error
			if k.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)); err != nil {
				return nil, err
			}
		}
		k.buf = k.zstd.EncodeAll(b, k.buf[:0])
		return append(b[:0], k.buf...), nil
	}
	return b, nil
}

// emptyPacked is nothing, packed.
func emptyPacked(p Packing) []byte {
	b, err := new(worker).pack(p, nil)
	if err != nil {
		panic(err) // to memory
	}
	return b
}
