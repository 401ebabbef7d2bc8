package registryfarm

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// SetLatency has a registry take so long for an answer from now on. It does not matter for what is over a limit.
func (f *Farm) SetLatency(registry string, d time.Duration) {
	f.registry(registry).latency.Store(int64(d))
}

// Hold has a registry answer nothing until release is called; release may be called more than once. With [Farm.Await] a test has
// as many queries at the same time as it wants, without waiting for time to pass.
func (f *Farm) Hold(registry string) (release func()) {
	gate := make(chan struct{})
	f.registry(registry).gate.Store(&gate)
	return sync.OnceFunc(func() {
		f.registry(registry).gate.CompareAndSwap(&gate, nil)
		close(gate)
	})
}

// Await waits until n queries are under way at a registry, answers that are held among them; it fails when ctx ends before.
func (f *Farm) Await(ctx context.Context, registry string, n int64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		open := f.registry(registry).records.open.Load()
		if open >= n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("registry farm: %d queries under way at %q, want %d: %w", open, registry, n, ctx.Err())
		}
	}
}

// delay waits as long as the registry takes for an answer; false as with pause.
func (r *registry) delay(gone <-chan struct{}) bool {
	if gate := r.gate.Load(); gate != nil {
		select {
		case <-*gate:
		case <-gone:
			return false
		case <-r.farm.done:
			return false
		}
	}
	return r.farm.pause(time.Duration(r.latency.Load()), gone)
}

// pause waits; false if the client or the farm is gone before. gone may be nil.
func (f *Farm) pause(d time.Duration, gone <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-gone:
	case <-f.done:
	}
	return false
}

// hang waits until the client or the farm is gone.
func (f *Farm) hang(gone <-chan struct{}) {
	select {
	case <-gone:
	case <-f.done:
	}
}
