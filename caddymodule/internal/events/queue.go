package events

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// mostPosted is how many events wait at most for handlers that are slow.
const mostPosted = 4096

// queue emits events in their order, in a goroutine that there is only while some wait. It is ready once it has emit.
type queue struct {
	emit func(name string, data map[string]any) bool

	mu      sync.Mutex
	waiting []posted
	running bool
	lost    int
}

type posted struct {
	name string
	data map[string]any
}

func (q *queue) add(name string, data map[string]any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= mostPosted {
		q.lost++
		return
	}
	q.waiting = append(q.waiting, posted{name, data})
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		batch, lost, emit := q.waiting, q.lost, q.emit
		q.waiting, q.lost = nil, 0
		q.running = len(batch) > 0
		q.mu.Unlock()
		if lost > 0 {
			caddy.Log().Named("events").Warn("events were lost, as the handlers are slower than they come", zap.Int("events", lost))
		}
		if len(batch) == 0 {
			return
		}
		for _, p := range batch {
			emit(p.name, p.data)
		}
	}
}
