package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

// The form of a saved cache: magic, then blocks of a length, a CRC-32C and so many bytes of records; the last has none. Integers
// are little-endian. Another form gets another last byte of magic.
const (
	magic      = "whence DNS cache\x00\x01"
	blockHead  = 8
	recordHead = 18
	maxBlock   = 2 * shardBytes // a shard has less
)

// ErrSaved says that what was to be loaded is not a cache that was saved whole.
var ErrSaved = errors.New("not a saved DNS cache, or a damaged one")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes all answers to w but failures and those that may not be used any more. It locks one shard at a time.
func (c *Cache) Save(w io.Writer, now time.Time) error {
	if _, err := io.WriteString(w, magic); err != nil {
		return err
	}
	at := now.UnixMilli()
	block := make([]byte, 0, shardBytes)
	for i := range c.shards {
		s := &c.shards[i]
		block = block[:blockHead]
		s.mu.Lock()
		s.each(func(off int, e *entry) {
			if e.kind != wire.Failure && c.usable(e, e.age(at)) {
				block = s.appendRecord(block, off, e)
			}
		})
		s.mu.Unlock()
		if len(block) > blockHead {
			if err := writeBlock(w, block); err != nil {
				return err
			}
		}
	}
	return writeBlock(w, block[:blockHead])
}

func writeBlock(w io.Writer, block []byte) error {
	records := block[blockHead:]
	binary.LittleEndian.PutUint32(block, uint32(len(records)))
	binary.LittleEndian.PutUint32(block[4:], crc32.Checksum(records, castagnoli))
	_, err := w.Write(block)
	return err
}

// appendRecord writes what Load needs to put the answer again. What the policy said of it is not that.
func (s *shard) appendRecord(b []byte, off int, e *entry) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(e.stored))
	b = binary.LittleEndian.AppendUint32(b, e.space)
	b = binary.LittleEndian.AppendUint16(b, e.ede)
	b = binary.LittleEndian.AppendUint16(b, e.length)
	b = append(b, e.flags&(flagDO|flagCD), e.subnet)
	b = append(b, s.subnet(off, e)...)
	return append(b, s.message(off, e)...)
}

// Load puts what Save wrote, at the ages that the answers have now, and returns how many of them. What may not be used any more is
// passed by; what comes before a damage is kept. Errors are ErrSaved and the reader's.
func (c *Cache) Load(r io.Reader, now time.Time) (n int, err error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return 0, damaged(err)
	}
	var block bytes.Buffer
	var ans wire.Answer
	for {
		if _, err := io.ReadFull(r, head[:blockHead]); err != nil {
			return n, damaged(err)
		}
		length, sum := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		if length > maxBlock {
			return n, ErrSaved
		}
		block.Reset()
		if _, err := io.CopyN(&block, r, int64(length)); err != nil {
			return n, damaged(err)
		}
		records := block.Bytes()
		if crc32.Checksum(records, castagnoli) != sum {
			return n, ErrSaved
		}
		if length == 0 {
			return n, nil
		}
		for len(records) > 0 {
			var kept bool
			if records, kept = c.loadRecord(records, &ans, now); records == nil {
				return n, ErrSaved
			} else if kept {
				n++
			}
		}
	}
}

func damaged(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrSaved
	}
	return fmt.Errorf("loading the DNS cache: %w", err)
}

// loadRecord puts the first of the records, and returns the others; nil if it is none. The message is read as one from a server
// is, since a file can have been written by anybody.
func (c *Cache) loadRecord(b []byte, ans *wire.Answer, now time.Time) (rest []byte, kept bool) {
	if len(b) < recordHead {
		return nil, false
	}
	stored := time.UnixMilli(int64(binary.LittleEndian.Uint64(b)))
	ede := binary.LittleEndian.Uint16(b[12:])
	k := Key{Space: binary.LittleEndian.Uint32(b[8:]), DO: b[16]&flagDO != 0, CD: b[16]&flagCD != 0}
	length, subnet := int(binary.LittleEndian.Uint16(b[14:])), int(b[17])
	if len(b) < recordHead+subnet+length {
		return nil, false
	}
	k.Subnet = b[recordHead : recordHead+subnet]
	msg := b[recordHead+subnet : recordHead+subnet+length]
	rest = b[recordHead+subnet+length:]
	if wire.ScanAnswer(msg, ans) != nil || !ans.Question() {
		return nil, false
	}
	ans.EDE = ede
	k.Question = slices.Clone(msg[wire.HeaderLen:ans.QuestionEnd])
	life, _, _ := c.life(ans)
	e := entry{stored: stored.UnixMilli(), life: life, kind: ans.Kind}
	if life == 0 || !c.usable(&e, e.age(now.UnixMilli())) {
		return rest, false
	}
	return rest, c.Put(&k, msg, ans, stored, Meta{})
}
