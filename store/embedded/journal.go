package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A journal is a file of records, each
//
//	kind     1 byte
//	length   2 bytes, little endian, of the payload
//	payload
//	checksum 4 bytes, little endian, CRC-32C of all before
//
// after the header: "whence journal", the version as 2 bytes. Numbers in payloads are unsigned varints. A claim is event (0
// where the name was known, and gets only its first sighting), milliseconds since 1970, length of scope, scope, name. Done is a
// list of events.
const (
	journalMagic   = "whence journal"
	journalVersion = 1
	journalHeader  = len(journalMagic) + 2

	kindClaim byte = 0xc1
	kindDone  byte = 0xd0

	frame      = 1 + 2 + 4
	maxPayload = 4096 // a claim is at most 1,110 bytes
	doneBatch  = 400  // events in a record of kind done, at most 10 bytes each
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is what a journal needs of a file that is open for appending.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// journal is the file that is appended to. It has no lock of its own.
type journal struct {
	f      file
	number uint64
	size   int64 // of the header and the whole records
	ragged bool  // there may be part of a record behind size
	buf    []byte
}

var errNoJournal = errors.New("there is no journal to write to")

// createJournal makes the file with its header, and its entry in the folder durable.
func createJournal(dir string, number uint64, create func(name string) (file, error)) (*journal, error) {
	name := journalName(dir, number)
	f, err := create(name)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f, number: number}
	j.buf = binary.BigEndian.AppendUint16(append(j.buf, journalMagic...), journalVersion)
	if err := j.write(); err != nil {
		f.Close()
		os.Remove(name)
		return nil, err
	}
	syncFolder(dir)
	return j, nil
}

func createFile(name string) (file, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
}

// claim appends a claim.
func (j *journal) claim(scope, name string, event uint64, ms int64) error {
	if j == nil {
		return errNoJournal
	}
	start := j.begin(kindClaim)
	j.buf = binary.AppendUvarint(j.buf, event)
	j.buf = binary.AppendUvarint(j.buf, uint64(ms))
	j.buf = append(j.buf, byte(len(scope)))
	j.buf = append(j.buf, scope...)
	j.buf = append(j.buf, name...)
	j.end(start)
	return j.write()
}

// done appends that events are done.
func (j *journal) done(events []uint64) error {
	if j == nil {
		return errNoJournal
	}
	j.buf = j.buf[:0]
	for part := range slices.Chunk(events, doneBatch) {
		start := j.begin(kindDone)
		for _, e := range part {
			j.buf = binary.AppendUvarint(j.buf, e)
		}
		j.end(start)
	}
	return j.write()
}

func (j *journal) begin(kind byte) (start int) {
	start = len(j.buf)
	j.buf = append(j.buf, kind, 0, 0)
	return start
}

func (j *journal) end(start int) {
	binary.LittleEndian.PutUint16(j.buf[start+1:], uint16(len(j.buf)-start-3))
	j.buf = binary.LittleEndian.AppendUint32(j.buf, crc32.Checksum(j.buf[start:], castagnoli))
}

// write appends what is in the buffer, all of it or nothing: what was written of it before an error is cut off again.
func (j *journal) write() error {
	buf := j.buf
	j.buf = j.buf[:0]
	if j.ragged {
		if err := j.f.Truncate(j.size); err != nil {
			return err
		}
		j.ragged = false
	}
	n, err := j.f.Write(buf)
	if err != nil {
		j.ragged = n > 0 && j.f.Truncate(j.size) != nil
		return err
	}
	j.size += int64(n)
	return nil
}

func (j *journal) sync() error {
	if j == nil {
		return nil
	}
	return j.f.Sync()
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.f.Close()
}

const journalSuffix = ".journal"

func journalName(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("ledger-%08d%s", number, journalSuffix))
}

// journals are the numbers of the journals in dir, ascending.
func journals(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		s, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), journalSuffix), "ledger-")
		if n, err := strconv.ParseUint(s, 10, 64); ok && err == nil && journalName(dir, n) == filepath.Join(dir, e.Name()) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
