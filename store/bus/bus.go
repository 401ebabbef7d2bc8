// Package bus is the connection to NATS that a node has: secured, begun without waiting, made again for ever, with its state.
package bus

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// Bus is a connection to a NATS server, or to one of a cluster. It is safe for concurrent use.
type Bus struct {
	opt    Options
	cancel context.CancelFunc
	ran    sync.WaitGroup

	mu         sync.Mutex
	conn       *nats.Conn // nil until it is made for the first time, which is not to be connected
	up         bool
	since      time.Time
	told       bool // that it cannot be made
	err        string
	errAt      time.Time
	reconnects uint64
	changed    chan struct{} // closed when up changes
	closed     bool
}

// Status is how a Bus is. It has no secret in it.
type Status struct {
	URLs       []string  `json:"urls"`
	Connected  bool      `json:"connected"`
	Since      time.Time `json:"since"`                  // connected, or not
	Server     string    `json:"server,omitempty"`       // name of the server that we are connected to
	Version    string    `json:"version,omitempty"`      // of it
	Reconnects uint64    `json:"reconnects"`             // connections made after the first, since the start
	Error      string    `json:"last_error,omitempty"`   // the last one; it may be over
	ErrorAt    time.Time `json:"last_error_at,omitzero"` // when
}

// ErrClosed is what Wait returns when the Bus is closed.
var ErrClosed = errors.New("the connection to NATS is closed")

// Open begins to connect, for ever, and returns at once. What can be seen to be wrong with the options without asking anybody is an
// error, see [Options.Check].
func Open(o Options) (*Bus, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	b := &Bus{opt: o.withDefaults(), since: time.Now(), changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.ran.Go(func() { b.connect(ctx) })
	return b, nil
}

// connect makes the connection, which from then on is made again by the client. It is tried again itself only where a file with a
// secret cannot be read.
func (b *Bus) connect(ctx context.Context) {
	for try := 1; ; try++ {
		err := b.try(ctx)
		if err == nil {
			return
		}
		b.failed(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay(try)):
		}
	}
}

func (b *Bus) try(ctx context.Context) error {
	opts, err := b.opt.dialOptions(ctx)
	if err != nil {
		return err
	}
	opts = append(opts,
		nats.ConnectHandler(func(nc *nats.Conn) { b.connected(nc, false) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.connected(nc, true) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.lost(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.failed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.failed(err) }),
	)
	nc, err := nats.Connect(strings.Join(b.opt.URLs, ","), opts...)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn = nc
	return nil
}

// delay is the pause after all servers have been tried: a random part of a time that doubles, up to 5 s.
func delay(tries int) time.Duration {
	most := min(100*time.Millisecond<<min(tries, 10), 5*time.Second)
	return most/4 + rand.N(most*3/4)
}

func (b *Bus) connected(nc *nats.Conn, again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn = nc
	if again {
		b.reconnects++
	}
	b.opt.Logger.Info("connected to NATS", zap.String("server", nc.ConnectedServerName()), zap.String("address", nc.ConnectedAddr()),
		zap.Duration("after", time.Since(b.since)))
	b.set(true)
}

func (b *Bus) lost(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || !b.up {
		return
	}
	if err != nil {
		b.err, b.errAt = err.Error(), time.Now()
	}
	b.opt.Logger.Warn("the connection to NATS is lost; it is being made again", zap.NamedError("error", err))
	b.set(false)
}

// failed notes an error. While there is no connection the first one is logged: all servers of a cluster fail in turns.
func (b *Bus) failed(err error) {
	if err == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if text := err.Error(); b.up && text != b.err || !b.up && !b.told {
		b.told = true
		b.opt.Logger.Warn("NATS", zap.Bool("connected", b.up), zap.Error(err))
	}
	b.err, b.errAt = err.Error(), time.Now()
}

// set changes whether there is a connection, with the lock held.
func (b *Bus) set(up bool) {
	b.up, b.since, b.told = up, time.Now(), false
	close(b.changed)
	b.changed = make(chan struct{})
}

// Conn is the connection, nil where there is none now, and a channel that is closed when that changes: also where it is lost and
// made again between two looks.
func (b *Bus) Conn() (nc *nats.Conn, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.up && !b.closed {
		nc = b.conn
	}
	return nc, b.changed
}

// Wait waits until there is a connection.
func (b *Bus) Wait(ctx context.Context) (*nats.Conn, error) {
	for {
		nc, changed := b.Conn()
		if nc != nil {
			return nc, nil
		}
		b.mu.Lock()
		closed := b.closed
		b.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		select {
		case <-ctx.Done():
			return nil, cmp.Or(ctx.Err(), ErrClosed)
		case <-changed:
		}
	}
}

// Status is how the connection is.
func (b *Bus) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{
		URLs: b.opt.URLs, Connected: b.up && !b.closed, Since: b.since.UTC(), Reconnects: b.reconnects, Error: b.err,
	}
	if !b.errAt.IsZero() {
		s.ErrorAt = b.errAt.UTC()
	}
	if s.Connected {
		s.Server, s.Version = b.conn.ConnectedServerName(), b.conn.ConnectedServerVersion()
	}
	return s
}

// Close ends the connection, and whoever waits for it. It is idempotent.
func (b *Bus) Close() {
	b.cancel()
	b.ran.Wait()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	b.set(false)
	nc := b.conn
	b.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
}
