package domainstats

import (
	"context"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	maxList     = 1000            // names of one list of WHOIS-API's
	maxListTime = 2 * time.Minute // after which what is not here is answered as timed out
	listAhead   = 32              // names of one list that are looked up at the same time
)

// whoisList answers /WHOIS/?domain_list=a;b;c with an object a line, in the order of the list.
func (a *API) whoisList(w http.ResponseWriter, r *http.Request) outcome {
	names := domainList(r.URL.RawQuery)
	switch {
	case len(names) == 0:
		write(w, typeJSON, http.StatusOK, appendIndented(nil, whoisError{"", unreadable}, " "))
		return invalid
	case len(names) > maxList:
		refuse(w, routeWhoisList, http.StatusRequestEntityTooLarge, "domain_list: "+strconv.Itoa(len(names))+" names, and there may be "+
			strconv.Itoa(maxList)+"; POST /v1/lookup takes lists of any length")
		return invalid
	case !a.enter(w, routeWhoisList):
		return refused
	}
	defer a.state.streams.Add(-1)
	w.Header()["Content-Type"] = []string{typeNDJSON}
	if r.Method == http.MethodHead {
		return answered
	}
	gone, leave := context.WithCancel(r.Context())
	defer leave()
	ctx, cancel := context.WithTimeout(gone, maxListTime)
	defer cancel()
	if !a.writeList(w, a.lookupList(ctx, gone, names), leave) {
		return refused
	}
	return answered
}

// lookupList looks up some names at a time, and hands on their lines in order. It stops when the client is gone.
func (a *API) lookupList(ctx, gone context.Context, names []string) <-chan chan []byte {
	order := make(chan chan []byte, listAhead-1) // one more waits to be written
	go func() {
		defer close(order)
		for _, name := range names {
			line := make(chan []byte, 1)
			select {
			case order <- line:
			case <-gone.Done():
				return
			}
			go func() { line <- a.whoisLine(ctx, name) }()
		}
	}()
	return order
}

// whoisLine is the answer to one name of a list. A panic is an error of that name: outside of a handler's goroutine it would end
// the server.
func (a *API) whoisLine(ctx context.Context, name string) (line []byte) {
	defer func() {
		if p := recover(); p != nil {
			a.opt.Logger.Error("panic in a lookup", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			line = append(appendIndented(nil, whoisError{name, errInternal.Error()}, ""), '\n')
		}
	}()
	v, _ := a.registrationOf(ctx, name)
	a.state.lines.Add(1)
	return append(appendIndented(nil, v, ""), '\n')
}

// writeList writes lines as they come, and reports whether the client took them all. Where it does not, leave is called.
func (a *API) writeList(w http.ResponseWriter, order <-chan chan []byte, leave func()) bool {
	ctl := http.NewResponseController(w)
	defer func() { _ = ctl.SetWriteDeadline(time.Time{}) }()
	ok := true
	for next := range order {
		var line []byte
		select {
		case line = <-next:
		default: // the client may have what is there already
			_ = ctl.SetWriteDeadline(time.Now().Add(a.opt.Write))
			_ = ctl.Flush()
			line = <-next
		}
		if !ok {
			continue
		}
		_ = ctl.SetWriteDeadline(time.Now().Add(a.opt.Write))
		if _, err := w.Write(line); err != nil {
			ok = false
			leave()
		}
	}
	return ok
}

// domainList is the value of domain_list, cut at its semicolons. They are why the query is not read with net/url, for which a
// semicolon is an error.
func domainList(query string) (names []string) {
	for pair := range strings.SplitSeq(query, "&") {
		value, ok := strings.CutPrefix(pair, "domain_list=")
		if !ok {
			continue
		}
		if u, err := url.QueryUnescape(value); err == nil {
			value = u
		}
		for name := range strings.SplitSeq(value, ";") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}
