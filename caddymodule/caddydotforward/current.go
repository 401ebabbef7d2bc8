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

// unset takes an app away. When it returns, no message is being handed to the app's server: what it then answers are those that wait.
func (r *running) unset(a *App) {
	r.mu.Lock()
	r.apps = slices.DeleteFunc(r.apps, func(b *App) bool { return a == b })
	r.mu.Unlock()
	a.handing.Lock()
	a.left = true
	a.handing.Unlock()
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

// serveMessage answers with the newest configuration: connections outlive those that they were made under.
func serveMessage(msg []byte, client netip.AddrPort, t dotforward.Transport, respond func([]byte)) {
	for {
		a := current.app()
		if a == nil {
			respond(nil)
			return
		}
		if a.hand(msg, client, t, respond) {
			return
		}
	}
}

// hand has the app's server answer, unless another app has taken its place meanwhile.
func (a *App) hand(msg []byte, client netip.AddrPort, t dotforward.Transport, respond func([]byte)) bool {
	a.handing.RLock()
	defer a.handing.RUnlock()
	if a.left {
		return false
	}
	a.server.ServeMessage(msg, client, t, respond)
	return true
}
