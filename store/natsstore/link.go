package natsstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// link is the buckets as long as one connection to NATS lasts.
type link struct {
	log           *zap.Logger
	nc            *nats.Conn
	js            jetstream.JetStream
	ledger, cache jetstream.Stream
	contacts      jetstream.Stream // whose first contacts are, see owners
	slow          atomic.Bool      // a claim was not answered in time, and none since
	markersGo     bool             // markers may have a lifetime
}

const (
	// markerLife is how long NATS keeps it that a name was forgotten, for nodes that were away.
	markerLife = 30 * 24 * time.Hour
	// pipelined is how many messages are sent before their answers are waited for.
	pipelined = 1024
)

// state is how the connection to the buckets is, for the log and for who asks.
type state struct {
	link atomic.Pointer[link]
	fault
}

// run works on one connection after another.
func (s *Store) run(ctx context.Context) {
	for tries := 0; ; tries++ {
		nc, err := s.bus.Wait(ctx)
		if err == nil {
			began := time.Now()
			err = s.session(ctx, nc)
			if time.Since(began) > 10*time.Second {
				tries = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.state.report(s.log, s.opt.Now(), err)
		if !sleep(ctx, pause(tries)) {
			return
		}
	}
}

// pause is a random part of a time that doubles, up to 5 s.
func pause(tries int) time.Duration {
	most := min(50*time.Millisecond<<min(tries, 10), 5*time.Second)
	return most/4 + rand.N(most*3/4)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// session opens the buckets, follows them, and shares what waited, until the connection changes or something fails.
func (s *Store) session(ctx context.Context, nc *nats.Conn) error {
	now, changed := s.bus.Conn()
	if now != nc {
		return ErrAway
	}
	l, err := s.openLink(ctx, nc)
	if err != nil {
		return err
	}
	fresh, err := s.ledger.follow.begin(ctx, l)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-changed:
			return fmt.Errorf("%w: the connection was lost", ErrAway)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	s.state.link.Store(l)
	defer s.state.link.Store(nil)
	s.state.clear(s.log, s.opt.Now())
	if fresh {
		g.Go(func() error { return s.ledger.giveBack(ctx, l) })
	}
	g.Go(func() error { return s.ledger.follow.run(ctx, l) })
	g.Go(func() error { return s.ledger.follow.watch(ctx, l) })
	g.Go(func() error { return s.ledger.settle(ctx, l) })
	g.Go(func() error { return s.ledger.correct(ctx, l) })
	g.Go(func() error { return s.ledger.events.keep(ctx) })
	g.Go(func() error { return s.cache.share(ctx, l) })
	g.Go(func() error { return s.cache.hear(ctx, l) })
	return g.Wait()
}

// openLink finds the buckets, and makes those that are missing.
func (s *Store) openLink(ctx context.Context, nc *nats.Conn) (*link, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(s.opt.Timeout), jetstream.WithPublishAsyncTimeout(s.opt.Timeout),
		jetstream.WithPublishAsyncMaxPending(4*pipelined))
	if err != nil {
		return nil, err
	}
	l := &link{log: s.log, nc: nc, js: js}
	canGo := atLeast(nc.ConnectedServerVersion(), 2, 11)
	ledger := jetstream.StreamConfig{
		Name: "KV_" + s.ledger.subjects.bucket, Subjects: []string{s.ledger.subjects.all()},
		Description: "Whence: the names that were seen, and when first",
		// A bucket that is full refuses new names. None is dropped: it would be a first contact again.
		Discard: jetstream.DiscardNew, MaxMsgs: int64(s.opt.MaxNames), AllowMsgTTL: canGo,
	}
	if l.ledger, err = s.openBucket(ctx, js, ledger); err != nil {
		return nil, err
	}
	l.markersGo = l.ledger.CachedInfo().Config.AllowMsgTTL
	cache := jetstream.StreamConfig{
		Name: "KV_" + s.cache.subjects.bucket, Subjects: []string{s.cache.subjects.all()},
		Description: "Whence: answers that took long to get",
		// Unlike other buckets it makes room for what is new: it is a cache.
		Discard: jetstream.DiscardOld, MaxBytes: s.opt.SharedCacheSize, MaxAge: s.opt.SharedCacheAge, AllowDirect: true,
	}
	if l.cache, err = s.openBucket(ctx, js, cache); err != nil {
		return nil, err
	}
	contacts := jetstream.StreamConfig{
		Name: "KV_" + s.ledger.events.owners.bucket, Subjects: []string{s.ledger.events.owners.all()},
		Description: "Whence: which node emits which first contact, and which are emitted",
		Discard:     jetstream.DiscardOld, MaxMsgs: maxContacts, MaxAge: contactsAge,
	}
	l.contacts, err = s.openBucket(ctx, js, contacts)
	return l, err
}

// openBucket finds a bucket, or makes it.
func (s *Store) openBucket(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	cfg.MaxMsgsPerSubject, cfg.Storage, cfg.Replicas = 1, jetstream.FileStorage, s.opt.Replicas
	cfg.Metadata = map[string]string{"whence": "1"} // the version of what is in it
	// Numbers go on where a bucket is lost and made again: no clock is a million messages a second late.
	cfg.FirstSeq = uint64(max(time.Now().UnixMicro(), 1))
	st, err := js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if st, err = js.CreateStream(ctx, cfg); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			st, err = js.Stream(ctx, cfg.Name) // another node was quicker
		} else if err == nil {
			s.log.Info("bucket made in NATS", zap.String("bucket", cfg.Name[len("KV_"):]), zap.Int("replicas", cfg.Replicas))
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return nil, fmt.Errorf("NATS keeps nothing: write `jetstream {}` into its configuration, or allow it to the account: %w", err)
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("nobody answers for JetStream: it is not in NATS's configuration, or its cluster has no majority now: %w", err)
	case err != nil:
		return nil, fmt.Errorf("opening bucket %s in NATS: %w", cfg.Name[len("KV_"):], err)
	}
	has := st.CachedInfo().Config
	if has.MaxMsgsPerSubject != 1 || len(has.Subjects) != 1 || has.Subjects[0] != cfg.Subjects[0] || has.Discard != cfg.Discard {
		return nil, fmt.Errorf("bucket %s in NATS is not one of Whence's: use another name, or remove it", cfg.Name[len("KV_"):])
	}
	if v := has.Metadata["whence"]; v != "1" {
		return nil, fmt.Errorf("bucket %s in NATS has format %q, which this program does not know", cfg.Name[len("KV_"):], v)
	}
	if has.Replicas != cfg.Replicas {
		s.log.Warn("a bucket in NATS has another number of replicas than is configured; `nats stream edit --replicas` changes it",
			zap.String("stream", cfg.Name), zap.Int("has", has.Replicas), zap.Int("configured", cfg.Replicas))
	}
	return st, nil
}

// atLeast compares a server's version.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}

// conflicts reports that a message was refused because the subject has another one by now.
func conflicts(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isFull reports that a message was refused because the bucket has as many as it may.
func isFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed
}

// codeStoreFailed is NATS's "maximum messages exceeded" and the like.
const codeStoreFailed jetstream.ErrorCode = 10077
