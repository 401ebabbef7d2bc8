package embedded

import (
	"bytes"
	"sync"

	"go.etcd.io/bbolt"
)

// maxIdle bounds the read transactions that are kept open.
const maxIdle = 64

// readers are read transactions with their cursors, kept open between writes: beginning one costs more than a read. An open
// one holds on to the pages and to the mapping it began with, so that a write closes those that are idle, and none is kept
// until it is committed.
type readers struct {
	db *bbolt.DB

	mu         sync.Mutex
	idle       []*reader
	generation uint64 // of the committed state
	writing    bool
}

// reader reads names. It is one goroutine's between get and put.
type reader struct {
	tx         *bbolt.Tx
	generation uint64
	cursors    []*bbolt.Cursor // by the index of the scope; nil where the scope has no names yet
	key        []byte
}

func (r *readers) get() (*reader, error) {
	r.mu.Lock()
	generation := r.generation
	if n := len(r.idle); n > 0 {
		rd := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		return rd, nil
	}
	r.mu.Unlock()
	tx, err := r.db.Begin(false)
	if err != nil {
		return nil, err
	}
	return &reader{tx: tx, generation: generation}, nil
}

func (r *readers) put(rd *reader) {
	r.mu.Lock()
	keep := !r.writing && rd.generation == r.generation && len(r.idle) < maxIdle
	if keep {
		r.idle = append(r.idle, rd)
	}
	r.mu.Unlock()
	if !keep {
		_ = rd.tx.Rollback()
	}
}

// pause closes the idle transactions, before a write.
func (r *readers) pause() {
	r.mu.Lock()
	idle := r.idle
	r.idle, r.writing = nil, true
	r.mu.Unlock()
	for _, rd := range idle {
		_ = rd.tx.Rollback()
	}
}

// resume lets transactions be kept again, those that began after the write.
func (r *readers) resume() {
	r.mu.Lock()
	r.generation++
	r.writing = false
	r.mu.Unlock()
}

// find reads a name.
func (rd *reader) find(sc *scope, name string) (v value, ok bool) {
	for len(rd.cursors) <= sc.index {
		rd.cursors = append(rd.cursors, nil)
	}
	c := rd.cursors[sc.index]
	if c == nil {
		b := rd.tx.Bucket(bucketNames).Bucket([]byte(sc.name))
		if b == nil {
			return v, false
		}
		c = b.Cursor()
		rd.cursors[sc.index] = c
	}
	rd.key = append(rd.key[:0], name...)
	k, b := c.Seek(rd.key)
	if !bytes.Equal(k, rd.key) {
		return v, false
	}
	return parseValue(b)
}
