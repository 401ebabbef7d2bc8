//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// preloadTimeout is how long the preloading may make no progress.
const preloadTimeout = 60 * time.Second

// progress is what the status of the source says of its preloading.
type progress struct {
	Names, Done, Failed int
	Started, Finished   time.Time
}

// status is the part of /whence/status that is read.
type status struct {
	Chains map[string][]struct {
		Kind   string
		Detail struct{ Preload *progress }
	}
}

// preloading is how far the preloading has come, zero where it has not begun.
func (s *status) preloading() progress {
	for _, sources := range s.Chains {
		for _, source := range sources {
			if source.Kind == "registration" && source.Detail.Preload != nil {
				return *source.Detail.Preload
			}
		}
	}
	return progress{}
}

// awaitPreload waits until n names are preloaded, and returns what that took by the server's clock. At half of them it calls half.
func (b *bench) awaitPreload(server string, n int, half func()) (time.Duration, error) {
	admin := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.Admin(server))
	}}}
	defer admin.CloseIdleConnections()
	was, since := progress{}, time.Now()
	for ; time.Since(since) < preloadTimeout; time.Sleep(200 * time.Millisecond) {
		var s status
		if err := request(admin, http.MethodGet, "http://localhost/whence/status", &s); err != nil {
			return 0, err
		}
		p := s.preloading()
		if p.Done >= n/2 && was.Done < n/2 {
			half()
		}
		if p.Done > was.Done {
			since = time.Now()
		}
		was = p
		if !p.Finished.IsZero() {
			if p.Done != n {
				return 0, fmt.Errorf("%d of %d names preloaded", p.Done, n)
			}
			if p.Failed > 0 { // the check of the answers says which
				fmt.Fprintf(os.Stderr, "the server says that it could not preload %d names\n", p.Failed)
			}
			return p.Finished.Sub(p.Started), nil
		}
	}
	return 0, fmt.Errorf("the preloading stands still at %d of %d names", was.Done, n)
}
