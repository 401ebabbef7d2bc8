package caddydotforward

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/whence-project/whence/dotforward"
)

// running are the apps that serve, the newest last: in a reload two do for a moment.
type running struct {
	mu   sync.Mutex
	apps []*App
}

var current running

func (r *running) set(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = append(r.apps, a)
}

func (r *running) unset(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = slices.DeleteFunc(r.apps, func(b *App) bool { return a == b })
}

// app is the newest that serves, nil where none does.
func (r *running) app() *App {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.apps); n > 0 {
		return r.apps[n-1]
	}
	return nil
}

// server is that of the newest app that serves, nil where none does.
func (r *running) server() *dotforward.Server {
	if a := r.app(); a != nil {
		return a.server
	}
	return nil
}

// serveMessage answers with the newest configuration: connections outlive those that they were made under.
func serveMessage(msg []byte, client netip.AddrPort, t dotforward.Transport, respond func([]byte)) {
	if s := current.server(); s != nil {
		s.ServeMessage(msg, client, t, respond)
		return
	}
	respond(nil)
}
