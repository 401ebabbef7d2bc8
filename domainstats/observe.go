package domainstats

import (
	"net/http"
	"time"

	"github.com/whence-project/whence/store"
)

// sighting is what an answer says of when a name was first seen.
type sighting struct {
	first time.Time // zero where nobody can tell
	isNew bool      // this answer is the first contact
	why   string    // why nobody can tell
}

const (
	noLedger      = "First contact is not recorded"
	ledgerUnknown = "First contact is not known now"
	tooManyNames  = "Too many new names from this client, first contact is not recorded"
)

// observe sees a name on behalf of a request, and tells when it was first seen. A HEAD request only looks: its answer could not
// carry a first contact.
func (a *API) observe(r *http.Request, name string, now time.Time) sighting {
	switch {
	case a.opt.Ledger == nil:
		return sighting{why: noLedger}
	case r.Method == http.MethodHead:
		return a.recall(name)
	case a.opt.NewNames.IsZero():
		return a.claim(name, now)
	}
	// A client that has used up its allowance makes the next ones of all clients be looked for first. As long as nobody has, a
	// name is claimed at once, which spares the look; the first one beyond the allowance is claimed, too.
	if now.UnixNano() < a.state.wary.Load() {
		if res, s := a.opt.Ledger.Lookup(a.opt.Scope, name); res == store.Unseen {
			if !a.allow(r, now) {
				a.state.refused.Add(1)
				return sighting{why: tooManyNames}
			}
		} else if res == store.Unknown {
			return sighting{first: s.First, why: ledgerUnknown}
		}
		return a.claim(name, now)
	}
	s := a.claim(name, now)
	if s.isNew {
		a.allow(r, now)
	}
	return s
}

// allow takes a new name from the client's allowance.
func (a *API) allow(r *http.Request, now time.Time) bool {
	if a.state.buckets.Allow(a.opt.Client.Of(a.opt.ClientAddr(r)), a.opt.NewNames, now) {
		return true
	}
	a.state.wary.Store(now.Add(a.opt.NewNames.Per).UnixNano())
	return false
}

func (a *API) claim(name string, now time.Time) sighting {
	switch res, s := a.opt.Ledger.Claim(a.opt.Scope, name, now); res {
	case store.First:
		a.state.contacts.Add(1)
		a.state.firsts.Add(1)
		if a.opt.Feed != nil {
			a.opt.Feed.Wake()
		}
		return sighting{first: s.First, isNew: true}
	case store.Seen:
		return sighting{first: s.First}
	}
	return sighting{why: ledgerUnknown}
}

// recall is what is known of a name that is not seen now.
func (a *API) recall(name string) sighting {
	if a.opt.Ledger == nil {
		return sighting{why: noLedger}
	}
	switch res, s := a.opt.Ledger.Lookup(a.opt.Scope, name); res {
	case store.Seen:
		return sighting{first: s.First}
	case store.Unseen:
		return sighting{}
	}
	return sighting{why: ledgerUnknown}
}
