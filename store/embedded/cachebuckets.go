package embedded

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/whence-project/whence/store"
)

// Buckets implements [store.BucketReporter]. What waits to be written is written first.
func (c *cache) Buckets(ctx context.Context) (all []store.BucketStatus, err error) {
	if c.isClosed() {
		return nil, store.ErrClosed
	}
	if err := c.write(); err != nil {
		return nil, err
	}
	now := c.opt.Now().UnixMilli()
	err = c.db.View(func(tx *bbolt.Tx) error {
		n := 0
		return tx.Bucket(bucketEntries).ForEach(func(path, value []byte) error {
			if n++; n%removeBatch == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			bucket := path[1 : 1+path[0]]
			if len(all) == 0 || all[len(all)-1].Bucket != string(bucket) {
				all = append(all, store.BucketStatus{Bucket: string(bucket)})
			}
			b := &all[len(all)-1]
			b.Entries++
			b.Size += int64(len(path) - 1 - len(bucket) + len(value) - 8)
			if int64(binary.BigEndian.Uint64(value)) <= now {
				b.Expired++
			}
			return nil
		})
	})
	slices.SortFunc(all, func(a, b store.BucketStatus) int { return strings.Compare(a.Bucket, b.Bucket) })
	return all, err
}

// Interface guard
var _ store.BucketReporter = (*cache)(nil)
