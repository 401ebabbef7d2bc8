package natsstore

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// iterator reads a bucket's messages in their order. It ends with an error where it cannot; a new one goes on from where it was. (The
// ordered consumer of NATS's client does so by itself, for as long as it takes and without heeding a context.)
type iterator struct {
	jetstream.MessagesContext
	at        uint64 // the last message that was read
	pending   uint64 // those that are to come, as of that one
	delivered uint64 // how many were read: none may be missing
}

var errGap = errors.New("messages were lost on the way")

// follow begins to read a bucket, from OptStartSeq on.
func (l *link) follow(ctx context.Context, st jetstream.Stream, timeout time.Duration, cfg jetstream.ConsumerConfig) (*iterator, error) {
	cfg.DeliverPolicy, cfg.AckPolicy = jetstream.DeliverByStartSequencePolicy, jetstream.AckNonePolicy
	cfg.MemoryStorage, cfg.Replicas, cfg.InactiveThreshold = true, 1, 30*time.Second
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cons, err := st.CreateConsumer(wait, cfg)
	if err != nil {
		return nil, err
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(4*pipelined), jetstream.PullExpiry(20*time.Second), jetstream.PullHeartbeat(2*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return nil, err
	}
	return &iterator{MessagesContext: it, pending: cons.CachedInfo().NumPending}, nil
}

// batch waits for a message, and takes those that are there with it.
func (it *iterator) batch(ctx context.Context, list []jetstream.Msg) ([]jetstream.Msg, error) {
	opt := jetstream.NextContext(ctx)
	for len(list) < pipelined {
		msg, err := it.Next(opt)
		if err != nil {
			if len(list) > 0 && errors.Is(err, nats.ErrTimeout) {
				return list, nil
			}
			return nil, err
		}
		m, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		if it.delivered++; m.Sequence.Consumer != it.delivered {
			return nil, errGap
		}
		it.at, it.pending = m.Sequence.Stream, m.NumPending
		if list = append(list, msg); it.pending == 0 {
			return list, nil
		}
		opt = jetstream.NextMaxWait(time.Second)
	}
	return list, nil
}

// again runs f over and over: a cluster that elects refuses what it takes a moment later. Where the bucket is gone it ends.
func (l *link) again(ctx context.Context, f func(ctx context.Context) error) error {
	for tries := 0; ; tries++ {
		began := time.Now()
		err := f(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		l.log.Debug("reading from NATS again", zap.Error(err))
		if time.Since(began) > 10*time.Second {
			tries = 0
		}
		if !sleep(ctx, pause(tries)) {
			return context.Cause(ctx)
		}
	}
}
