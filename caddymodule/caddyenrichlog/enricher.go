package caddyenrichlog

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/logfields"
	"github.com/whence-project/whence/enrich"
)

// enricher adds what a chain knows to entries.
type enricher struct {
	Settings
	picks  []enrich.Pick
	want   enrich.KeySet
	warned atomic.Bool
}

func newEnricher(s Settings) *enricher {
	picks := enrich.PicksOf(s.fields())
	return &enricher{Settings: s, picks: picks, want: enrich.WantOf(picks...)}
}

// leaf is a field of entries beside which others are added.
type leaf struct {
	key   string
	names []string // of what is added, in the order of the picks
}

func (e *enricher) leaf(key string) *leaf {
	l := &leaf{key: key, names: e.fields()}
	if e.Object == "" {
		l.names = make([]string, len(e.picks))
		for i, p := range e.picks {
			l.names[i] = key + "_" + p.Name()
		}
	}
	return l
}

// answer is a question and what a chain said.
type answer struct {
	query  enrich.Query
	record enrich.Record
}

var answers = sync.Pool{New: func() any { return new(answer) }}

// asking is how many goroutines ask a chain for a log.
var asking atomic.Int32

// add adds what is known of value beside l. Sources may write log entries while they are asked; those are written as they are.
func (e *enricher) add(enc zapcore.ObjectEncoder, l *leaf, value string) {
	s, err := enrich.ParseSubject(value)
	if err != nil {
		return
	}
	a := answers.Get().(*answer)
	if ask(e, a, s) {
		e.write(enc, l, &a.record)
	}
	answers.Put(a)
}

var askEntry uintptr

func init() { askEntry = reflect.ValueOf(ask).Pointer() }

// ask asks the chain, and reports whether there was one.
//
//go:noinline
func ask(e *enricher, a *answer, s enrich.Subject) bool {
	// While nobody asks, this cannot be the entry of a source that is being asked; else, the stack tells.
	if asking.Add(1) > 1 && asked() {
		asking.Add(-1)
		return false
	}
	defer asking.Add(-1)
	chain, runs := caddyenrich.Running(e.Chain)
	if chain == nil {
		e.warn(runs)
		return false
	}
	a.query = enrich.Query{Subject: s, Offline: true, Want: e.want, Priority: enrich.Pipeline}
	chain.Lookup(context.Background(), &a.query, &a.record)
	return true
}

// asked reports whether ask is among the callers of its caller, ask.
func asked() bool {
	var pcs [256]uintptr
	for _, pc := range pcs[:runtime.Callers(3, pcs[:])] { // beyond Callers, asked and ask
		if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == askEntry {
			return true
		}
	}
	return false
}

// warn says once that there is no such chain: logs are opened before it can be known. It does not hold up the entry, which may be
// written with Caddy's loggers locked.
func (e *enricher) warn(runs bool) {
	if runs && e.warned.CompareAndSwap(false, true) {
		go func() {
			caddy.Log().Named("enrich").Warn("a log is to be enriched from a chain that does not exist", zap.String("chain", e.Chain))
		}()
	}
}

func (e *enricher) write(enc zapcore.ObjectEncoder, l *leaf, r *enrich.Record) {
	if e.Object == "" {
		e.writeFields(enc, l.names, r)
		return
	}
	for _, p := range e.picks {
		if p.Text(r) != "" {
			_ = enc.AddObject(l.key+e.Object, zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
				e.writeFields(enc, l.names, r)
				return nil
			}))
			return
		}
	}
}

func (e *enricher) writeFields(enc zapcore.ObjectEncoder, names []string, r *enrich.Record) {
	for i, p := range e.picks {
		logfields.Add(enc, names[i], p, r)
	}
}
