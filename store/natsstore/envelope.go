package natsstore

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/whence-project/whence/store"
)

// A value in the cache's bucket is a byte that says how it is packed, 8 bytes big endian of when it expires in milliseconds since
// 1970 (0: never), and the value.
const (
	packedNot  = 0
	packedZstd = 1

	envelope = 9
	// packFrom is the size from which a value is compressed.
	packFrom = 512
)

var packer = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(128<<10), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // an option that makes no sense
	}
	return e
})

// unpacker refuses what would be larger than a value may be: whoever may write to the bucket may write anything.
var unpacker = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(store.MaxValue), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return d
})

func pack(it item) []byte {
	b := make([]byte, envelope, envelope+len(it.value))
	if !it.expires.IsZero() {
		binary.BigEndian.PutUint64(b[1:], uint64(millis(it.expires)))
	}
	if len(it.value) >= packFrom {
		if packed := packer().EncodeAll(it.value, b); len(packed) < envelope+len(it.value) {
			packed[0] = packedZstd
			return packed
		}
	}
	return append(b[:envelope], it.value...)
}

var errEnvelope = errors.New("not a value of Whence's")

func unpack(b []byte) (it item, err error) {
	if len(b) < envelope {
		return it, errEnvelope
	}
	ms := binary.BigEndian.Uint64(b[1:])
	if ms > uint64(maxMillis) {
		return it, errEnvelope
	}
	if ms > 0 {
		it.expires = time.UnixMilli(int64(ms)).UTC()
	}
	switch b[0] {
	case packedNot:
		it.value = b[envelope:]
	case packedZstd:
		it.value, err = unpacker().DecodeAll(b[envelope:], nil)
	default:
		err = errEnvelope
	}
	if err == nil && len(it.value) > store.MaxValue {
		err = errEnvelope
	}
	return it, err
}
