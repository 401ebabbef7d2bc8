package caddynotify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/internal/digest"
)

// grace is how long what waits may take to be delivered when nobody uses an outbox any more.
const grace = 10 * time.Second

var outboxes = caddy.NewUsagePool()

// outbox is an outbox in the pool: all handlers with the same settings, and the configurations after one another, share it, so that what
// waits survives a reload.
type outbox struct {
	*digest.Outbox
	loggers livelog.Loggers
}

// Destruct delivers what waits: beside a reload that has changed the settings, or before the process ends.
func (o *outbox) Destruct() error {
	deliver := func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		o.Close(ctx)
	}
	if caddy.Exiting() {
		deliver()
	} else {
		go deliver()
	}
	return nil
}

// held is one handler's use of an outbox. A module embeds it.
type held struct {
	outbox   *outbox
	key      string
	withdraw func()
	release  sync.Once
}

// acquire takes the outbox of a handler with these settings, or makes it. Nothing is started, and nobody is dialled, before an event
// comes.
func (h *held) acquire(ctx caddy.Context, handler string, settings any, o digest.Options, send func(*zap.Logger) sender) error {
	if err := prom.Register(ctx, messagesTotal, eventsTotal); err != nil {
		return err
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	h.key = fmt.Sprintf("%s %x", handler, sha256.Sum256(b))
	v, _, err := outboxes.LoadOrNew(h.key, func() (caddy.Destructor, error) {
		p := new(outbox)
		o.Logger, o.Counted = p.loggers.Logger(), counted(handler)
		o.Send = send(o.Logger)
		p.Outbox = digest.NewOutbox(o)
		return p, nil
	})
	if err != nil {
		return err
	}
	h.outbox = v.(*outbox)
	h.withdraw = h.outbox.loggers.Push(ctx.Logger())
	return nil
}

// sender delivers a message.
type sender = func(context.Context, *digest.Message) error

// Handle has an event told. It does not block.
func (h *held) Handle(_ context.Context, e caddy.Event) error {
	h.outbox.Add(eventOf(e.Name(), e.Timestamp(), e.Data))
	return nil
}

// Cleanup lets the outbox go.
func (h *held) Cleanup() (err error) {
	if h.outbox == nil {
		return nil
	}
	h.release.Do(func() {
		var last bool
		if last, err = outboxes.Delete(h.key); !last {
			h.withdraw() // else what is said of the last delivery is this configuration's to log
		}
	})
	return err
}
