package dotforward

import (
	"fmt"

	"github.com/whence-project/whence/dotforward/lists"
	"github.com/whence-project/whence/dotforward/upstream"
)

// Zone is a name that other servers are asked about, with all below it.
type Zone struct {
	Name string // "." for all names
	Pool *upstream.Pool

	space uint32
}

// Route has zones asked of other servers than the default's. Of the zones that a name is in, the longest decides; of several routes
// the first that has one. Being in a zone answers nothing, so that it does not matter where in the stage Decide a Route stands.
type Route struct{ zones map[string]*Zone }

// NewRoute makes a Route. It fails for what is no name, and for a zone that is there twice.
func NewRoute(zones ...Zone) (*Route, error) {
	r := &Route{zones: make(map[string]*Zone)}
	for _, z := range zones {
		name, ok := []byte{0}, true
		if z.Name != "." {
			name, ok = lists.AppendName(nil, []byte(z.Name))
		}
		if !ok {
			return nil, fmt.Errorf("%q is no name of a zone", z.Name)
		}
		if r.zones[string(name)] != nil {
			return nil, fmt.Errorf("zone %s is there twice", z.Name)
		}
		if z.Pool == nil {
			return nil, fmt.Errorf("zone %s has no servers", z.Name)
		}
		z.space = SpaceOf(z.Pool)
		r.zones[string(name)] = &z
	}
	return r, nil
}

// Stage is Decide.
func (r *Route) Stage() Stage { return Decide }

// Handle sets the query's zone, if there is one and none is set.
func (r *Route) Handle(q *Query) Verdict {
	if q.zone == nil {
		q.SetZone(r.find(q.Name()))
	}
	return Next
}

func (r *Route) find(name []byte) *Zone {
	for {
		if z := r.zones[string(name)]; z != nil || len(name) <= 1 {
			return z
		}
		name = name[1+int(name[0]):]
	}
}

// Zone is the zone that a Route found the query in, nil for the default servers.
func (q *Query) Zone() *Zone { return q.zone }

// SetZone has the query asked of a zone's servers; nil changes nothing. A handler does so in the stage Decide.
func (q *Query) SetZone(z *Zone) {
	if z != nil && z != q.zone {
		q.zone, q.looked, q.stable = z, false, false
	}
}
