package natsstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// follower keeps the copy of the ledger: it reads the bucket's messages in their order, from where it was.
type follower struct {
	s *Store

	mu      sync.Mutex
	pos     position // Seq: all messages up to it are in the copy
	last    uint64   // message of the bucket when the session began
	pending uint64   // messages that are to come
	synced  bool     // all that there was when the session began is in the copy
	sharing bool     // what the folder knows is being given to a bucket that may not know it
	moved   chan struct{}
	before  uint64 // what Seq was when the position was written last
	written position
}

func newFollower(s *Store) (*follower, error) {
	f := &follower{s: s, moved: make(chan struct{})}
	pos, err := readPosition(s.dir)
	if err != nil {
		s.log.Warn("how far the copy of the ledger has come cannot be read: it is made anew, over what there is",
			zap.String("dir", s.dir), zap.Error(err))
	}
	if names := s.local.Ledger().Status().Names; names < pos.Names {
		s.log.Warn("the copy of the ledger has lost names: it is made anew, over what there is", zap.Int("had", pos.Names), zap.Int("has", names))
		pos.Seq = 0
	}
	f.pos = pos
	return f, nil
}

// begin compares the copy with the bucket. It is fresh where the bucket is another than the copy's, or has lost messages that
// are in the copy: then it is read from its beginning, and what it lacks is given to it.
func (f *follower) begin(ctx context.Context, l *link) (fresh bool, err error) {
	info, err := l.ledger.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("looking at the ledger in NATS: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	bucket := f.s.ledger.subjects.bucket
	f.last, f.synced = info.State.LastSeq, false
	fresh = f.pos.Bucket != bucket || !f.pos.Created.Equal(info.Created) || info.State.LastSeq < f.pos.Seq
	if fresh {
		if f.pos.Bucket == bucket {
			f.s.log.Error("the ledger in NATS has lost what it knew; it is given what this node knows",
				zap.Time("made", info.Created), zap.Uint64("last", info.State.LastSeq), zap.Uint64("had", f.pos.Seq))
		}
		f.pos = position{Created: info.Created} // it is this bucket's when all is shared
		f.sharing = true
		f.s.ledger.events.reset()
	}
	return f.sharing, nil
}

// shared notes that the bucket has all that the folder knew.
func (f *follower) shared() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sharing, f.pos.Bucket = false, f.s.ledger.subjects.bucket
}

// run follows the bucket.
func (f *follower) run(ctx context.Context, l *link) error {
	return l.again(ctx, func(ctx context.Context) error {
		f.mu.Lock()
		seq, last := f.pos.Seq, f.last
		f.mu.Unlock()
		it, err := l.follow(ctx, l.ledger, f.s.opt.Timeout, jetstream.ConsumerConfig{OptStartSeq: seq + 1})
		if err != nil {
			return fmt.Errorf("following the ledger in NATS: %w", err)
		}
		defer it.Stop()
		if f.advance(seq, it.pending); it.pending == 0 {
			f.advance(max(seq, last), 0)
		}
		var batch []jetstream.Msg
		for {
			if batch, err = it.batch(ctx, batch[:0]); err != nil {
				return fmt.Errorf("following the ledger in NATS: %w", err)
			}
			if err := f.s.ledger.apply(ctx, batch); err != nil {
				return err
			}
			f.advance(it.at, it.pending)
		}
	})
}

// advance notes that the messages up to seq are in the copy, and how many are to come.
func (f *follower) advance(seq, pending uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pos.Seq, f.pending = max(f.pos.Seq, seq), pending
	f.synced = f.synced || pending == 0
	close(f.moved)
	f.moved = make(chan struct{})
}

// wait waits until the copy has message seq and, as every wait does, all that there was when the session began.
func (f *follower) wait(ctx context.Context, seq uint64) error {
	for {
		f.mu.Lock()
		there, moved := f.synced && f.pos.Seq >= seq, f.moved
		f.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// isSynced reports that the copy has all that there was when the session began: what it lacks, nobody has seen until lately.
func (f *follower) isSynced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.synced
}

const (
	saveEvery  = time.Second
	watchEvery = 10 * time.Second
)

// watch writes the position now and then, and sees whether the bucket is still the one that is followed.
func (f *follower) watch(ctx context.Context, l *link) error {
	save, look := time.NewTicker(saveEvery), time.NewTicker(watchEvery)
	defer save.Stop()
	defer look.Stop()
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-save.C:
			f.save()
		case <-look.C:
			info, err := l.ledger.Info(ctx)
			if missed++; err != nil && missed > 2 { // a cluster that elects does not answer
				return fmt.Errorf("looking at the ledger in NATS: %w", err)
			}
			if err != nil {
				continue
			}
			missed = 0
			f.mu.Lock()
			same := f.pos.Created.Equal(info.Created) && info.State.LastSeq >= f.pos.Seq
			f.mu.Unlock()
			if !same {
				return errors.New("the ledger in NATS was made anew")
			}
		}
	}
}

// save writes the position as it was the last time: what came since may not be on the disk yet.
func (f *follower) save() {
	f.mu.Lock()
	pos := f.pos
	pos.Seq = min(f.before, pos.Seq)
	f.before = f.pos.Seq
	same := pos.Seq == f.written.Seq && pos.Purges == f.written.Purges && pos.Created.Equal(f.written.Created)
	f.mu.Unlock()
	if same || pos.Bucket == "" {
		return
	}
	pos.Names = f.s.local.Ledger().Status().Names
	_ = f.write(pos) // it has said so
}

// closed writes the position of a copy that is all on the disk.
func (f *follower) closed(names int) error {
	f.mu.Lock()
	pos := f.pos
	f.mu.Unlock()
	if pos.Bucket == "" {
		return nil
	}
	pos.Names = names
	return f.write(pos)
}

func (f *follower) write(pos position) error {
	pos.At = f.s.opt.Now()
	err := pos.write(f.s.dir)
	if err != nil {
		f.s.log.Error("how far the copy of the ledger has come cannot be written: it is read again from where it was", zap.Error(err))
		return err
	}
	f.mu.Lock()
	f.written = pos
	f.mu.Unlock()
	return nil
}

// behind is how many messages of the bucket are not in the copy yet, as of the last one.
func (f *follower) behind() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pending
}

// purged is the last message about what is purged from the cache that was heeded.
func (f *follower) purged() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pos.Purges
}

func (f *follower) setPurged(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pos.Purges = seq
}
