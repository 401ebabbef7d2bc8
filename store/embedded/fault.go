package embedded

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// fault is something that is wrong until it is right again: it is logged when it begins and when it ends, however often it is
// met between.
type fault struct {
	what string // "the ledger's journal cannot be written"
	log  *zap.Logger
	now  func() time.Time

	active atomic.Bool
	mu     sync.Mutex
	err    error
	since  time.Time
}

func (f *fault) init(opt *Options, what string) { f.what, f.log, f.now = what, opt.Logger, opt.Now }

func (f *fault) report(err error) {
	if f.active.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	f.err, f.since = err, f.now()
	f.active.Store(true)
	f.log.Error(f.what, zap.Error(err))
}

func (f *fault) clear() {
	if !f.active.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active.Store(false)
	f.log.Info("no longer: "+f.what, zap.NamedError("was", f.err), zap.Duration("for", f.now().Sub(f.since)))
	f.err = nil
}

// settle reports err, or clears the fault where there is none.
func (f *fault) settle(err error) {
	if err != nil {
		f.report(err)
	} else {
		f.clear()
	}
}

// worst is the text of the first of faults that is active.
func worst(faults ...*fault) (text string, since time.Time) {
	for _, f := range faults {
		f.mu.Lock()
		if f.err != nil {
			text, since = f.what+": "+f.err.Error(), f.since
		}
		f.mu.Unlock()
		if text != "" {
			break
		}
	}
	return text, since
}
