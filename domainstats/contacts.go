package domainstats

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// contactPiece is about how much of the feed is written at once.
const contactPiece = 32 << 10

// contacts answers GET /v1/first-contacts: the lines of the feed as they come, from after ?after=<event> if that is given. It ends
// with the client, or with the API.
func (a *API) contacts(w http.ResponseWriter, r *http.Request) outcome {
	if a.opt.Feed == nil {
		problem(w, http.StatusNotFound, "first contacts are not recorded here")
		return invalid
	}
	var b []byte
	position := a.opt.Feed.end()
	if text := r.URL.Query().Get("after"); text != "" {
		after, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			problem(w, http.StatusBadRequest, "after: want the number of an event")
			return invalid
		}
		var missed bool
		if position, missed = a.opt.Feed.from(after); missed {
			b = append(b, missedLine...)
		}
	}
	if !a.enter(w, routeContacts) {
		return refused
	}
	defer a.state.streams.Add(-1)
	w.Header()["Content-Type"] = []string{typeNDJSON}
	w.Header()["Cache-Control"] = []string{"no-store"}
	if r.Method != http.MethodHead {
		a.follow(w, r, b, position)
	}
	return answered
}

// follow writes b, and then the feed from position on.
func (a *API) follow(w http.ResponseWriter, r *http.Request, b []byte, position uint64) {
	ctl := http.NewResponseController(w)
	defer func() { _ = ctl.SetWriteDeadline(time.Time{}) }()
	alive := time.NewTicker(a.opt.KeepAlive)
	defer alive.Stop()
	for started := false; ; started = true {
		var changed <-chan struct{}
		var ended bool
		b, position, changed, ended = a.opt.Feed.next(b, position, contactPiece)
		n := len(b)
		if n > 0 || !started {
			_ = ctl.SetWriteDeadline(time.Now().Add(a.opt.Write))
			if _, err := w.Write(b); err != nil {
				return
			}
			if err := ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return
			}
			b = b[:0]
		}
		if n >= contactPiece { // there may be more
			continue
		}
		if ended {
			return
		}
		select {
		case <-changed:
		case <-alive.C:
			b = append(b, '\n')
		case <-r.Context().Done():
			return
		case <-a.ctx.Done():
			return
		}
	}
}
