package registration

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// maxRaw is how much is kept of what one server wrote.
const maxRaw = 64 << 10

// Raw is what servers wrote about a subject, word by word, at most 64 KiB each.
type Raw struct {
	Server string `json:"server"`
	Text   string `json:"text"`
	Second string `json:"second,omitempty"` // the registrar's server, where that was asked too
	More   string `json:"more,omitempty"`   // and what it wrote
}

// packer compresses what is kept: replies are mostly words that are in all of them, and five times as long as what is read out of
// them.
var packer = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(64<<10), zstd.WithEncoderConcurrency(2),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // an option that makes no sense
	}
	return e
})

var unpacker = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(4*maxRaw), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return d
})

func (s *Source) keepRaw(key string, r *Raw, until time.Time) {
	if s.opt.NoRaw || s.opt.Cache == nil || r.Text == "" {
		return
	}
	r.Text, r.More = r.Text[:min(len(r.Text), maxRaw)], r.More[:min(len(r.More), maxRaw)]
	if b, err := json.Marshal(r); err == nil {
		s.opt.Cache.Put(s.opt.Bucket+bucketRaw, key, packer().EncodeAll(b, nil), until)
	}
}

func (s *Source) raw(key string) (r Raw, ok bool) {
	if s.opt.Cache == nil {
		return r, false
	}
	packed, _, ok := s.opt.Cache.Get(s.opt.Bucket+bucketRaw, key)
	if !ok {
		return r, false
	}
	b, err := unpacker().DecodeAll(packed, nil)
	return r, err == nil && json.Unmarshal(b, &r) == nil
}
