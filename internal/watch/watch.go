// Package watch tells when files change: data that an operator replaces while a server runs. The files and the folders they
// lie in may be missing, appear, vanish and come back; what counts is what is there once a change has come to rest.
//
// Notifications of the system (fsnotify) only say that it is time to look. What changed is found by looking: the fingerprints
// of the files are compared with those of the last look. So nothing depends on which notifications a system sends, and a slow
// poll finds the same changes where there are none: on network file systems, or when the system is out of watches.
package watch

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The times a Watcher goes by where its fields are zero.
const (
	DefaultQuiet   = 300 * time.Millisecond
	DefaultLongest = 10 * time.Second
	DefaultPoll    = 30 * time.Second
)

// Watcher watches the files that its patterns name. Set Quiet, Longest and Poll before Start, if at all.
type Watcher struct {
	// Quiet is how long the files must stay as they are before a change is told, so that a copy in progress is not.
	Quiet time.Duration
	// Longest is how long a change is held back at most while the files keep changing.
	Longest time.Duration
	// Poll is how often the files are looked at where no notification comes.
	Poll time.Duration

	patterns []string
	changed  func()
	log      func(error)
	logged   map[string]bool // what has been logged, so that each fault is said once

	notify  *fsnotify.Watcher // nil where the system has none to give
	folders map[string]folder // watched folders
	links   map[string]bool   // names in watched folders on the way to the files: folders, links to them, or what is missing

	told    snapshot // what the caller knows of
	seen    snapshot // a change that has not come to rest
	since   time.Time
	pending bool

	mu      sync.Mutex // guards what follows
	started bool
	closed  bool
	stop    chan struct{}
	done    chan struct{}
}

// New makes a Watcher of patterns, each a file, a folder (the files in it, not those in folders below) or a glob as of
// [filepath.Match]; relative ones are taken from the working folder as it is now. changed is called after each change, on one
// goroutine, one call at a time; it is told nothing and looks for itself (see [Expand] and [Stat]). log, which may be nil,
// hears each fault of the watching itself once; polling goes on in spite of it.
func New(log func(error), changed func(), patterns ...string) *Watcher {
	w := &Watcher{
		changed: changed, log: log, logged: make(map[string]bool), folders: make(map[string]folder),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	for _, p := range patterns {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		w.patterns = append(w.patterns, p)
	}
	return w
}

// Start takes the files as they are now for known and begins to watch: whoever loads them after Start misses no change. It
// fails only for a malformed pattern, and on a Watcher that was started or closed before.
func (w *Watcher) Start() error {
	for _, p := range w.patterns {
		if _, err := filepath.Match(p, ""); err != nil {
			return errors.New("watching " + p + ": " + err.Error())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started || w.closed {
		return errors.New("watch: a Watcher starts once")
	}
	w.started = true
	w.Quiet = orDefault(w.Quiet, DefaultQuiet)
	w.Longest = orDefault(w.Longest, DefaultLongest)
	w.Poll = orDefault(w.Poll, DefaultPoll)
	n, err := fsnotify.NewWatcher()
	if err != nil {
		w.complain("no notifications, polling instead", err)
	} else {
		w.notify = n
	}
	w.follow()
	w.told = w.take()
	go w.run()
	return nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// Close stops watching and returns when no call of changed is running any more. It must not be called from changed. A Watcher
// that was never started may be closed; further calls do nothing.
func (w *Watcher) Close() error {
	w.mu.Lock()
	started, closed := w.started, w.closed
	w.closed = true
	w.mu.Unlock()
	if !closed {
		close(w.stop)
	}
	if started {
		<-w.done
	}
	return nil
}

// run is the watcher's goroutine.
func (w *Watcher) run() {
	defer close(w.done)
	var events <-chan fsnotify.Event
	var faults <-chan error
	if w.notify != nil {
		defer w.notify.Close()
		events, faults = w.notify.Events, w.notify.Errors
	}
	poll := time.NewTicker(w.Poll)
	defer poll.Stop()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	// After a look the next one is a quiet time away, however many notifications come meanwhile.
	armed, again := false, false
	for {
		select {
		case <-w.stop:
			return
		case e, ok := <-events:
			if !ok {
				events = nil
			}
			again = again || ok && w.concerns(e)
		case err, ok := <-faults:
			if !ok {
				faults = nil
			} else if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.complain("notifications", err)
			}
			again = again || ok
		case <-poll.C:
			again = true
		case <-timer.C:
			armed = false
		}
		if !armed && (again || w.pending) {
			w.look(time.Now())
			timer.Reset(w.Quiet)
			armed, again = true, false
		}
	}
}

// look compares what is there with what the caller knows, and tells it of a change that has come to rest or takes too long to.
func (w *Watcher) look(now time.Time) {
	w.follow()
	s := w.take()
	switch {
	case s.equal(w.told):
		w.pending = false
		w.seen = nil
	case !w.pending:
		w.pending, w.since, w.seen = true, now, s
	case s.equal(w.seen) || now.Sub(w.since) >= w.Longest:
		w.pending, w.told, w.seen = false, s, nil
		w.changed()
	default:
		w.seen = s
	}
}

// complain logs a fault once for each of what.
func (w *Watcher) complain(what string, err error) {
	if w.log != nil && !w.logged[what] && len(w.logged) < 100 {
		w.logged[what] = true
		w.log(errors.New("watching files: " + what + ": " + err.Error()))
	}
}
