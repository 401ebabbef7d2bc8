package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/whence-project/whence/store"
)

const (
	shareItems = 256     // put into NATS together
	shareBytes = 4 << 20 // likewise
	headroom   = 4096    // of NATS's largest message, for what is around a value
	// tokenPurge is where a bucket's name would be in the subjects of messages about what is purged. No name is written so.
	tokenPurge = "=purge"
)

// share puts what waits into NATS.
func (c *cache) share(ctx context.Context, link *link) error {
	for tries := 0; ; {
		n, err := c.shareSome(ctx, link)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			tries++
			c.s.log.Debug("values cannot be put into the cache in NATS", zap.Error(err))
			sleep(ctx, pause(tries))
			continue
		}
		if tries = 0; n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.wake:
		}
	}
}

// next are items that wait. They stay where they are until they are shared.
func (c *cache) next() map[key]item {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make(map[key]item, min(len(c.waiting), shareItems))
	size := 0
	for k, it := range c.waiting {
		if len(list) >= shareItems || size >= shareBytes {
			break
		}
		list[k] = it
		size += it.size(k)
	}
	return list
}

// shareSome puts some of what waits into NATS, and returns how many.
func (c *cache) shareSome(ctx context.Context, link *link) (n int, err error) {
	defer c.move()
	list := c.next()
	futures := make(map[key]jetstream.PubAckFuture, len(list))
	for k, it := range list {
		if it.deleted {
			if e := c.tell(ctx, link, purge{Bucket: k.scope, Key: k.name}); e == nil {
				e = link.cache.Purge(ctx, jetstream.WithPurgeSubject(c.subject(k.scope, k.name)))
				err = errors.Join(err, c.was(k, it, e))
			} else {
				err = errors.Join(err, e)
			}
			continue
		}
		data := pack(it)
		if int64(len(data)) > link.nc.MaxPayload()-headroom {
			c.unshared.Add(1)
			_ = c.was(k, it, nil) // it stays on this node
			continue
		}
		f, e := link.js.PublishMsgAsync(&nats.Msg{Subject: c.subject(k.scope, k.name), Data: data}, jetstream.WithRetryAttempts(0))
		if e != nil {
			err = errors.Join(err, e)
			break
		}
		futures[k] = f
	}
	for k, f := range futures {
		select {
		case <-f.Ok():
			c.shared.Add(1)
			_ = c.was(k, list[k], nil)
		case e := <-f.Err():
			err = errors.Join(err, e)
		case <-ctx.Done():
			return len(list), ctx.Err()
		}
	}
	return len(list), err
}

// move tells those who wait that some items may no longer do.
func (c *cache) move() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.moved)
	c.moved = make(chan struct{})
}

// was takes out an item that was shared, unless another has come in its place.
func (c *cache) was(k key, it item, err error) error {
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now, ok := c.waiting[k]
	if ok && now.deleted == it.deleted && now.expires.Equal(it.expires) && len(now.value) == len(it.value) &&
		(len(now.value) == 0 || &now.value[0] == &it.value[0]) {
		delete(c.waiting, k)
		c.size -= it.size(k)
	}
	if len(c.waiting) == 0 {
		close(c.idle)
		c.idle = make(chan struct{})
	}
	return nil
}

// closing waits a moment for what is to be shared.
func (c *cache) closing() {
	c.mu.Lock()
	c.closed = true
	idle, empty := c.idle, len(c.waiting) == 0
	c.mu.Unlock()
	if empty || c.s.state.link.Load() == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(2 * time.Second):
	}
}

// purge says what is in the cache no more: a key, or those of a bucket that begin with a prefix.
type purge struct {
	From   string `json:"from"` // the process
	Bucket string `json:"bucket"`
	Key    string `json:"key,omitempty"`
	Prefix string `json:"prefix,omitempty"`
}

// tell tells the others.
func (c *cache) tell(ctx context.Context, link *link, p purge) error {
	p.From = c.id
	b, err := json.Marshal(p)
	if err == nil {
		_, err = link.js.Publish(ctx, c.subjects.prefix()+tokenPurge+"."+nuid.Next(), b, jetstream.WithRetryAttempts(0))
	}
	return err
}

// hear heeds what the others tell.
func (c *cache) hear(ctx context.Context, link *link) error {
	f := c.s.ledger.follow
	return link.again(ctx, func(ctx context.Context) error {
		it, err := link.follow(ctx, link.cache, c.s.opt.Timeout, jetstream.ConsumerConfig{
			FilterSubject: c.subjects.prefix() + tokenPurge + ".>", OptStartSeq: f.purged() + 1,
		})
		if err != nil {
			return fmt.Errorf("following the cache in NATS: %w", err)
		}
		defer it.Stop()
		for {
			list, err := it.batch(ctx, nil)
			if err != nil {
				return fmt.Errorf("following the cache in NATS: %w", err)
			}
			for _, msg := range list {
				if err := c.heed(ctx, msg.Data()); err != nil {
					return err
				}
			}
			f.setPurged(it.at)
		}
	})
}

func (c *cache) heed(ctx context.Context, data []byte) error {
	var p purge
	if json.Unmarshal(data, &p) != nil || p.From == c.id || p.Bucket == "" || strings.HasSuffix(p.Bucket, store.NodeBucket) {
		return nil
	}
	if p.Key != "" {
		c.local.Delete(p.Bucket, p.Key)
		return nil
	}
	if _, err := c.local.Purge(ctx, p.Bucket, p.Prefix); err != nil && !errors.Is(err, store.ErrName) {
		return err
	}
	return nil
}

// Purge implements [store.Cache]: here, in NATS, and on the other nodes, which hear of it. The keys are those that were found here or
// in NATS, whichever were more.
func (c *cache) Purge(ctx context.Context, bucket, prefix string) (int, error) {
	gone := c.withdraw(bucket, prefix)
	here, err := c.local.Purge(ctx, bucket, prefix)
	if err != nil || strings.HasSuffix(bucket, store.NodeBucket) {
		return here, err
	}
	link := c.s.state.link.Load()
	if link == nil {
		return here, fmt.Errorf("%w: purged on this node only", ErrAway)
	}
	if err := c.tell(ctx, link, purge{Bucket: bucket, Prefix: prefix}); err != nil {
		return here, fmt.Errorf("purging the cache in NATS: %w", err)
	}
	there, err := c.purgeShared(ctx, link, bucket, prefix, gone)
	if err != nil {
		err = fmt.Errorf("purging the cache in NATS: %w", err)
	}
	return max(here, there), err
}

// withdraw takes out of what waits to be shared what is purged, and returns what was deleted before and need not be found again.
func (c *cache) withdraw(bucket, prefix string) (gone map[key]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone = make(map[key]bool)
	for k, it := range c.waiting {
		if k.scope == bucket && strings.HasPrefix(k.name, prefix) {
			gone[k] = it.deleted
			delete(c.waiting, k)
			c.size -= it.size(k)
		}
	}
	return gone
}

// purgeShared removes keys from the bucket in NATS, and returns how many there were beside those that are gone for this node.
func (c *cache) purgeShared(ctx context.Context, link *link, bucket, prefix string, gone map[key]bool) (n int, err error) {
	it, err := link.follow(ctx, link.cache, c.s.opt.Timeout, jetstream.ConsumerConfig{
		FilterSubject: string(appendToken([]byte(c.subjects.prefix()), bucket)) + ".>", OptStartSeq: 1, HeadersOnly: true,
	})
	if err != nil {
		return 0, err
	}
	defer it.Stop()
	var g errgroup.Group
	g.SetLimit(32)
	for it.pending > 0 {
		list, err := it.batch(ctx, nil)
		if err != nil {
			return n, errors.Join(err, g.Wait())
		}
		for _, msg := range list {
			m, err := msg.Metadata()
			if err != nil {
				return n, errors.Join(err, g.Wait())
			}
			k, ok := c.parse(msg.Subject())
			if !ok || !strings.HasPrefix(k.name, prefix) {
				continue
			}
			if !gone[k] {
				n++
			}
			g.Go(func() error {
				err := link.cache.DeleteMsg(ctx, m.Sequence.Stream) // that one: what was put since stays
				if errors.Is(err, jetstream.ErrMsgNotFound) {
					return nil
				}
				return err
			})
		}
	}
	return n, g.Wait()
}
