package annotate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Log is what is to be annotated, and where that goes.
type Log struct {
	Name string // in errors, and its ending tells the format
	In   io.Reader
	Out  io.Writer
	// Pack is how what goes out is packed.
	Pack Packing
	// Live has lines go out as they come in. Otherwise more may be gathered, where In gives little at a time.
	Live bool
}

// aheadOfEach is how many chunks there are for each worker: one that it is at, one that waits for it, one that is being written.
const aheadOfEach = 3

// gathered is how many bytes of a log that is not live are annotated together at least.
const gathered = 64 << 10

// run is one log on its way.
type run struct {
	a       *Annotator
	log     *Log
	ctx     context.Context // as the caller has it
	work    context.Context // of the workers: what has been read is annotated though ctx ends, unless it cannot be written
	cancel  context.CancelFunc
	free    chan *chunk
	read    chan *chunk // from the reader
	jobs    chan *chunk // to the workers
	order   chan *chunk // to the writer, in order
	quit    chan struct{}
	quitted sync.Once
	readErr error // why reading ended, for who has seen read closed
	written error // why writing ended, for who has seen the writer end
}

// Annotate annotates one log. The lines come out in order, and all of those before an error. When ctx ends, what has been read goes out
// to the end of its last whole line, and the error is that of ctx; a Read that goes on is not waited for.
func (a *Annotator) Annotate(ctx context.Context, log Log) error {
	n := aheadOfEach * len(a.workers)
	r := &run{
		a: a, log: &log, ctx: ctx, free: make(chan *chunk, n), read: make(chan *chunk), jobs: make(chan *chunk, n),
		order: make(chan *chunk, n), quit: make(chan struct{}),
	}
	for range n {
		r.free <- &chunk{done: make(chan struct{}, 1)}
	}
	r.work, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer r.cancel()
	var workers sync.WaitGroup
	for _, w := range a.workers {
		workers.Go(func() {
			for c := range r.jobs {
				w.do(r.work, c, log.Pack)
			}
			a.collect(w)
		})
	}
	var writer sync.WaitGroup
	writer.Go(r.write)
	go r.readAll()
	err := r.dispatch()
	close(r.jobs)
	close(r.order)
	writer.Wait()
	workers.Wait()
	return errors.Join(r.written, err)
}

// stop ends the reading.
func (r *run) stop() { r.quitted.Do(func() { close(r.quit) }) }

// readAll reads the log.
func (r *run) readAll() {
	defer close(r.read)
	in := reader{
		src: r.log.In, limit: r.a.opt.MaxLine, enough: r.a.opt.enough,
		layout: func(sample []byte) (*layout, error) { return r.a.layoutOf(r.log.Name, sample) },
	}
	if !r.log.Live {
		in.fill = gathered
	}
	if r.log.Pack != Plain {
		in.fill = packed
	}
	for {
		var c *chunk
		select {
		case c = <-r.free:
		case <-r.quit:
			return
		}
		if err := in.next(c); err != nil {
			if !errors.Is(err, io.EOF) {
				r.readErr = fmt.Errorf("reading %s: %w", r.log.Name, err)
			}
			return
		}
		select {
		case r.read <- c:
		case <-r.quit:
			return
		}
	}
}

// generationPeriod is how often it is seen whether the answers may have changed.
const generationPeriod = time.Second

// dispatch gives what is read to the workers and the writer.
func (r *run) dispatch() error {
	defer r.stop()
	generation, looked := r.a.opt.Lookup.generation(), time.Now()
	for {
		select {
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		case <-r.quit:
			return nil // the writer knows why
		case c, ok := <-r.read:
			if !ok {
				return r.readErr
			}
			if c.err != nil {
				return c.err
			}
			if now := time.Now(); now.Sub(looked) > generationPeriod {
				looked = now
				if g := r.a.opt.Lookup.generation(); g != generation {
					generation = g
					r.a.outdate()
				}
			}
			r.order <- c
			r.jobs <- c
		}
	}
}

// outdate has the workers forget what they have been told.
func (a *Annotator) outdate() {
	for _, w := range a.workers {
		w.outdated.Store(true)
	}
}

// do annotates a chunk.
func (w *worker) do(ctx context.Context, c *chunk, pack Packing) {
	defer func() { c.done <- struct{}{} }()
	if w.outdated.Swap(false) || w.layout == nil || w.layout.style != c.layout.style {
		w.forget()
	}
	w.layout = c.layout
	if c.err = w.annotate(ctx, c); c.err == nil {
		c.out, c.err = w.pack(pack, c.out)
	}
}

// fail ends it all.
func (r *run) fail(err error) {
	r.written = err
	r.stop()
	r.cancel()
}

// write writes the chunks in order, up to one that failed. It ends the reading where it cannot go on.
func (r *run) write() {
	any := false
	for c := range r.order {
		<-c.done
		switch {
		case r.written != nil:
		case c.err != nil:
			r.fail(c.err)
		default:
			if _, err := r.log.Out.Write(c.out); err != nil {
				r.fail(fmt.Errorf("writing: %w", err))
			}
			any = true
		}
		r.free <- c
	}
	if r.written == nil && !any && r.log.Pack != Plain {
		_, r.written = r.log.Out.Write(emptyPacked(r.log.Pack))
	}
}
