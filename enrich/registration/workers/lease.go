package workers

import (
	"cmp"
	"context"
	"encoding/base32"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich/registration"
)

// What leases go by, beside how long they last.
const (
	leaseIdle   = 30 * time.Second // without a query, after which it is given back
	leaseAnswer = 2 * time.Second  // that NATS may take
	leaseAsk    = time.Second      // after which another's lease is looked at again
	usedTTL     = 25 * time.Hour   // of what has been used up: the longest window of any registry, and a bit
)

// leases are the right to ask operators in networks, which one machine has at a time.
type leases struct {
	n    *Node
	mu   sync.Mutex
	kv   jetstream.KeyValue // who has which, nil until there is a connection
	used jetstream.KeyValue // what has been used up
	all  map[string]*lease
}

// lease is one, held by this machine or by another. Its holder stops relying on it some time before it is over.
type lease struct {
	operator string
	mu       sync.Mutex // held while NATS is asked about it
	revision uint64     // ours; 0: it is not
	until    time.Time  // it is ours, or another's as far as we know
	holder   string     // the other
	asked    time.Time  // when it was needed last
}

func newLeases(n *Node) *leases { return &leases{n: n, all: make(map[string]*lease)} }

// run renews the leases that are in use and gives back the others.
func (l *leases) run() {
	t := time.NewTicker(l.n.opt.Lease * 3 / 10)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.renew(false)
		case <-l.n.ctx.Done():
			l.renew(true)
			return
		}
	}
}

// buckets are the two buckets, made where they are missing.
func (l *leases) buckets(ctx context.Context) (kv, used jetstream.KeyValue, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kv != nil {
		return l.kv, l.used, nil
	}
	nc, err := l.n.conn()
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, err
	}
	bucket := func(name, what string, ttl time.Duration, s jetstream.StorageType) (kv jetstream.KeyValue) {
		if err == nil {
			kv, err = l.n.bucket(ctx, js, jetstream.KeyValueConfig{Bucket: l.n.opt.Prefix + "_" + name, Description: what, TTL: ttl, Storage: s})
		}
		return kv
	}
	kv = bucket("leases", "Whence: who asks which registry", l.n.opt.Lease, jetstream.FileStorage) // a server that restarts must not give one twice
	used = bucket("used", "Whence: what was asked of registries", usedTTL, jetstream.FileStorage)
	if err != nil {
		return nil, nil, err
	}
	l.kv, l.used = kv, used
	return kv, used, nil
}

// bucket finds a bucket, or makes it. One that somebody made with other settings, more replicas say, is taken as it is.
func (n *Node) bucket(ctx context.Context, js jetstream.JetStream, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, cfg.Bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	cfg.Replicas = n.opt.Replicas
	kv, err = js.CreateKeyValue(ctx, cfg)
	if errors.Is(err, jetstream.ErrBucketExists) {
		return js.KeyValue(ctx, cfg.Bucket)
	}
	return kv, err
}

var token = base32.HexEncoding.WithPadding(base32.NoPadding)

// key is the lease's, for an operator and one of the networks that he counts.
func (n *Node) key(operator string, network netip.Prefix) string {
	place := network.String()
	if !network.IsValid() {
		place = "all"
		if m := n.opt.Manners; m != nil && m.PerClient(operator) {
			place = "egress " + n.opt.Egress
		}
	}
	return token.EncodeToString([]byte(operator)) + "." + token.EncodeToString([]byte(place))
}

// egress are the networks that registries see this machine in, for people.
func (n *Node) egress() []string {
	var list []string
	if n.opt.Manners != nil {
		for _, a := range n.opt.Manners.Sources() {
			list = append(list, a.String())
		}
	}
	if len(list) == 0 && n.opt.Egress != "" {
		list = append(list, n.opt.Egress)
	}
	return list
}

// Permit says whether this machine may ask an operator now: it has the lease for every network that it asks from, or gets it. It is a
// [registration.Permit].
func (n *Node) Permit(ctx context.Context, operator string) error {
	if n.opt.Manners == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseAnswer)
	defer cancel()
	for _, network := range n.opt.Manners.Networks(operator) {
		if err := n.leases.hold(ctx, operator, n.key(operator, network)); err != nil {
			return err
		}
	}
	return nil
}

// hold makes sure of a lease.
func (l *leases) hold(ctx context.Context, operator, key string) error {
	l.mu.Lock()
	e := l.all[key]
	if e == nil {
		e = &lease{operator: operator}
		l.all[key] = e
	}
	l.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.asked = now
	if e.until.After(now) {
		if e.revision != 0 {
			return nil
		}
		return &registration.NotOursError{Operator: operator, Holder: e.holder, Until: e.until}
	}
	if err := l.acquire(ctx, e, key); err != nil {
		l.lost(err)
		e.revision, e.holder, e.until = 0, "", time.Now().Add(leaseAsk)
		l.n.log.Load().Info("it cannot be told who asks an operator", zap.String("operator", operator), zap.Error(err))
		return &registration.NotOursError{Operator: operator, Until: e.until}
	}
	if e.revision == 0 {
		return &registration.NotOursError{Operator: operator, Holder: e.holder, Until: e.until}
	}
	return nil
}

// lost has the buckets be looked for again where NATS has none of them any more: it came back without its data.
func (l *leases) lost(err error) {
	if !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, nats.ErrNoResponders) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kv, l.used = nil, nil
}

// acquire takes the lease, or finds out who has it. The lock of e is held.
func (l *leases) acquire(ctx context.Context, e *lease, key string) error {
	kv, used, err := l.buckets(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	revision, err := kv.Create(ctx, key, []byte(l.n.opt.Node))
	if errors.Is(err, jetstream.ErrKeyExists) {
		held, err := kv.Get(ctx, key)
		if err != nil {
			return err
		}
		e.revision, e.holder, e.until = 0, string(held.Value()), now.Add(leaseAsk)
		if e.holder != l.n.opt.Node || !nodeName.MatchString(e.holder) {
			return nil
		}
		// This machine held it, in a process before this one, or before the answer was lost.
		if revision, err = kv.Update(ctx, key, held.Value(), held.Revision()); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	e.revision, e.holder, e.until = revision, "", now.Add(l.n.opt.Lease*8/10)
	l.adopt(ctx, used, e.operator, key)
	return nil
}

// adopt takes over what has been used up by whoever had the lease before.
func (l *leases) adopt(ctx context.Context, used jetstream.KeyValue, operator, key string) {
	v, err := used.Get(ctx, key)
	if err == nil {
		err = l.n.opt.Manners.Adopt(operator, v.Value())
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		l.n.log.Load().Warn("what others have used up of a limit is not known", zap.String("operator", operator), zap.Error(err))
	}
}

// renew renews the leases that this machine has, and gives back those that it does not need, or all.
func (l *leases) renew(all bool) {
	l.mu.Lock()
	mine := make(map[string]*lease)
	for key, e := range l.all {
		mine[key] = e
	}
	l.mu.Unlock()
	var work sync.WaitGroup
	for key, e := range mine {
		work.Go(func() { l.renewOne(key, e, all) })
	}
	work.Wait()
}

func (l *leases) renewOne(key string, e *lease, leave bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	idle := now.Sub(e.asked) > leaseIdle
	if e.revision == 0 || !e.until.After(now) {
		if idle && !e.until.After(now) {
			l.mu.Lock()
			delete(l.all, key)
			l.mu.Unlock()
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaseAnswer)
	defer cancel()
	kv, used, err := l.buckets(ctx)
	if err != nil {
		return // it ends by itself
	}
	if _, err := used.Put(ctx, key, l.n.opt.Manners.SaveOperator(e.operator)); err != nil {
		l.n.log.Load().Debug("what was used up of a limit is not kept", zap.String("operator", e.operator), zap.Error(err))
	}
	if leave || idle {
		_ = kv.Delete(ctx, key, jetstream.LastRevision(e.revision))
		e.revision, e.until = 0, time.Time{}
		return
	}
	revision, err := kv.Update(ctx, key, []byte(l.n.opt.Node), e.revision)
	if err == nil {
		e.revision, e.until = revision, now.Add(l.n.opt.Lease*8/10)
	} else if isWrongRevision(err) {
		e.revision, e.until = 0, time.Time{} // somebody else has it
	}
}

// isWrongRevision reports that a key was changed since it was read.
func isWrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

// Leases are the operators that this machine asks for all that share their limits, by name.
func (n *Node) Leases() []string {
	n.leases.mu.Lock()
	defer n.leases.mu.Unlock()
	var list []string
	for _, e := range n.leases.all {
		if e.mu.TryLock() {
			if e.revision != 0 && e.until.After(time.Now()) {
				list = append(list, e.operator)
			}
			e.mu.Unlock()
		}
	}
	slices.SortFunc(list, cmp.Compare)
	return slices.Compact(list)
}
