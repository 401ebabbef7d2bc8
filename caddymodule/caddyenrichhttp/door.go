package caddyenrichhttp

import (
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/enrich"
)

// door is a module's way to its chain.
type door struct {
	chain  *enrich.Chain
	ctx    caddy.Context
	logger *zap.Logger
	once   sync.Once
	err    error
	wanted atomic.Uint32 // an enrich.KeySet: what requests have used of the answers
}

// cheap is what every answer is asked for: sources have these fields at hand.
var cheap = enrich.SetOf(enrich.None, enrich.ASN, enrich.ASName, enrich.ASDomain, enrich.CountryCode, enrich.Country,
	enrich.ContinentCode, enrich.Continent, enrich.Registry)

// doorTo finds the chain of that name, the default one for "".
func doorTo(ctx caddy.Context, name string) (*door, error) {
	app, err := ctx.App("enrich")
	if err != nil {
		return nil, err
	}
	chain, err := app.(*caddyenrich.App).Chain(name)
	if err != nil {
		return nil, err
	}
	d := &door{chain: chain, ctx: ctx, logger: ctx.Logger()}
	d.wanted.Store(uint32(cheap))
	return d, nil
}

// open opens the chain, if need be: requests may come before the app's Start, since apps start in no particular order.
func (d *door) open() bool {
	d.once.Do(func() {
		if d.err = d.chain.Open(d.ctx); d.err != nil {
			d.logger.Error("opening the chain; nothing is known to requests", zap.Error(d.err))
		}
	})
	return d.err == nil
}

// learn adds to what answers are asked for, and returns all of it. What one request asks for first and then more, the next one asks
// for at once; what none uses, such as a name's registration, is not asked for.
func (d *door) learn(want enrich.KeySet) enrich.KeySet {
	for {
		old := enrich.KeySet(d.wanted.Load())
		if old.Covers(want) {
			return old
		}
		if all := old.Join(want); d.wanted.CompareAndSwap(uint32(old), uint32(all)) {
			return all
		}
	}
}
