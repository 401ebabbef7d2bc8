// Package digest gathers events into few messages: an outage is one message, not a thousand. A [Digest] groups events by what they are
// about, in bounded memory; an [Outbox] says when a message goes out, and keeps what could not be delivered.
package digest

import (
	"maps"
	"slices"
	"time"
)

// Event is one thing that happened.
type Event struct {
	Name string // the event's
	Time time.Time
	// Story is what the events have in common that tell of one kind of thing, as of its going down and its coming up again; "" is Name.
	Story string
	Key   string // which thing it is, among those of the story; may be empty
	State State
	Data  map[string]any // must not be changed any more
}

// State is what an event says of the thing that it is about.
type State uint8

// The states.
const (
	Happened State = iota // something happened, which has no end
	Down                  // the thing does not work from now on
	Up                    // it works again
)

// Entry is what a message says of one thing.
type Entry struct {
	Name  string // of the last event
	Story string
	Key   string
	State State // after the last event
	Count int   // events
	First time.Time
	Last  time.Time
	// Since is when the thing went down: it is down since then, or was until Last if it is up again. Zero where that is not known.
	Since time.Time
	Downs int            // how often it went down
	Data  map[string]any // of the last event
	Cause map[string]any // of the last event that said that it went down
}

// id tells entries apart.
type id struct{ story, key string }

func (e *Entry) id() id { return id{e.Story, e.Key} }

// Content is what waits for a message, or is in one.
type Content struct {
	Entries []*Entry // in the order in which they were first heard of
	// More counts events by their names which are not in Entries, as there would be too many.
	More map[string]int
	// Lost counts events which were given up, since they could not be delivered for too long.
	Lost int
}

// Events is how many events it tells of, and how many of these it lists.
func (c *Content) Events() (all, listed int) {
	for _, e := range c.Entries {
		listed += e.Count
	}
	all = listed + c.Lost
	for _, n := range c.More {
		all += n
	}
	return all, listed
}

// Digest gathers events. It is not safe for concurrent use.
type Digest struct {
	most    int
	content Content
	index   map[id]*Entry
	down    map[id]time.Time // what is down, also after it was told; since when
}

const (
	mostDown  = 1024 // things that are known to be down
	mostNames = 64   // names of events that are counted apart; what is beyond has none
)

// NewDigest makes a digest of at most so many entries.
func NewDigest(most int) *Digest {
	return &Digest{most: most, index: make(map[id]*Entry), down: make(map[id]time.Time)}
}

// IsEmpty reports whether there is nothing to tell.
func (d *Digest) IsEmpty() bool {
	return len(d.content.Entries) == 0 && len(d.content.More) == 0 && d.content.Lost == 0
}

// Add takes in an event.
func (d *Digest) Add(ev Event) {
	e := &Entry{Name: ev.Name, Story: ev.Story, Key: ev.Key, State: ev.State, Count: 1, First: ev.Time, Last: ev.Time, Data: ev.Data}
	if e.Story == "" {
		e.Story = e.Name
	}
	d.outage(e)
	d.put(e)
}

// outage notes since when the thing is, or was, down.
func (d *Digest) outage(e *Entry) {
	since, known := d.down[e.id()]
	switch e.State {
	case Down:
		e.Downs, e.Cause, e.Since = 1, e.Data, e.First
		if known {
			e.Since = since
		} else if len(d.down) < mostDown {
			d.down[e.id()] = e.First
		}
	case Up:
		e.Since = since
		delete(d.down, e.id())
	}
}

// put adds an entry to the one of the same thing, if there is one.
func (d *Digest) put(e *Entry) {
	if old := d.index[e.id()]; old != nil {
		old.append(e)
		return
	}
	if len(d.content.Entries) >= d.most {
		d.more(e.Name, e.Count)
		return
	}
	d.index[e.id()] = e
	d.content.Entries = append(d.content.Entries, e)
}

func (d *Digest) more(name string, n int) {
	if d.content.More == nil {
		d.content.More = make(map[string]int)
	}
	if _, known := d.content.More[name]; !known && len(d.content.More) >= mostNames {
		name = ""
	}
	d.content.More[name] += n
}

// append adds to e what came after it.
func (e *Entry) append(later *Entry) {
	if later.State != Up || !later.Since.IsZero() {
		e.Since = later.Since
	}
	e.Name, e.State, e.Last, e.Data = later.Name, later.State, later.Last, later.Data
	e.Count += later.Count
	e.Downs += later.Downs
	if later.Cause != nil {
		e.Cause = later.Cause
	}
}

// Take is what there is to tell, and leaves nothing.
func (d *Digest) Take() Content {
	c := d.content
	d.content, d.index = Content{}, make(map[id]*Entry)
	return c
}

// Return puts back what could not be delivered, before what came meanwhile. Entries whose last event was before then are given up.
func (d *Digest) Return(c Content, then time.Time) (lost int) {
	later := d.Take()
	for _, e := range slices.Concat(c.Entries, later.Entries) {
		if e.Last.Before(then) {
			lost += e.Count
			continue
		}
		d.put(e)
	}
	for _, m := range []map[string]int{c.More, later.More} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			d.more(name, m[name])
		}
	}
	d.content.Lost += c.Lost + later.Lost + lost
	return lost
}
