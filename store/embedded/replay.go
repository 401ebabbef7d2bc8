package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"

	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

// record is a record of a journal: a claim, or the events that are done.
type record struct {
	kind        byte
	event       uint64
	ms          int64
	scope, name string
	done        []uint64
}

// readRecord reads the record at the start of b and says how long it is; 0 if there is no whole one.
func readRecord(b []byte) (r record, n int) {
	if len(b) < frame || b[0] != kindClaim && b[0] != kindDone {
		return r, 0
	}
	length := int(binary.LittleEndian.Uint16(b[1:]))
	if length > maxPayload || len(b) < frame+length {
		return r, 0
	}
	n = frame + length
	if crc32.Checksum(b[:n-4], castagnoli) != binary.LittleEndian.Uint32(b[n-4:]) {
		return r, 0
	}
	r.kind = b[0]
	p := b[3 : n-4]
	if r.kind == kindDone {
		for len(p) > 0 {
			e, k := binary.Uvarint(p)
			if k <= 0 {
				return r, 0
			}
			r.done, p = append(r.done, e), p[k:]
		}
		return r, n
	}
	if !r.readClaim(p) {
		return r, 0
	}
	return r, n
}

func (r *record) readClaim(p []byte) bool {
	event, k := binary.Uvarint(p)
	if k <= 0 {
		return false
	}
	p = p[k:]
	ms, k := binary.Uvarint(p)
	if k <= 0 || ms == 0 || ms > math.MaxInt64 || len(p) == k {
		return false
	}
	scope := int(p[k])
	p = p[k+1:]
	if scope == 0 || scope > store.MaxScope || len(p) <= scope || len(p) > scope+store.MaxName {
		return false
	}
	r.event, r.ms, r.scope, r.name = event, int64(ms), string(p[:scope]), string(p[scope:])
	return true
}

// scan hands the records of a journal to yield. skipped counts the bytes between records that are none, which is damage; cut
// those behind the last record, which is what a process leaves that is killed as it writes.
func scan(b []byte, yield func(record)) (skipped, cut int) {
	good := min(journalHeader, len(b))
	for at := good; at < len(b); {
		r, n := readRecord(b[at:])
		if n == 0 {
			at++
			continue
		}
		yield(r)
		skipped += at - good
		at += n
		good = at
	}
	return skipped, len(b) - good
}

// replay reads the journal of that name. A newer version is an error; what is damaged is copied aside and the rest is used.
func (l *ledger) replay(name string, yield func(record)) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	damaged := false
	if len(b) >= journalHeader {
		if damaged = string(b[:len(journalMagic)]) != journalMagic; !damaged {
			if v := binary.BigEndian.Uint16(b[len(journalMagic):]); v > journalVersion {
				return &VersionError{File: name, Version: uint64(v)}
			}
		}
	}
	skipped, cut := scan(b, yield)
	if skipped > 0 || damaged {
		aside := name + corruptSuffix(l.opt.Now())
		err := os.WriteFile(aside, b, 0o600)
		l.log.Error("the ledger's journal is damaged; what can be read of it is used, the rest is lost: names in it will be "+
			"first contacts again", zap.String("file", name), zap.String("copy", aside), zap.Int("bytes_skipped", skipped), zap.Error(err))
	} else if cut > 0 {
		l.log.Info("cut an unfinished record off the ledger's journal; it was never acknowledged",
			zap.String("file", name), zap.Int("bytes", cut))
	}
	return nil
}
