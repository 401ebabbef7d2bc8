package caddynotify

import (
	"fmt"
	"strings"
	"time"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/internal/digest"
)

// kind is what is to be known of an event to tell of it.
type kind struct {
	fields    []string     // of its data, in the order in which they are shown
	keys      []string     // of these fields the first that is there says what the event is about
	story     string       // what it has in common with the events that begin or end the same thing; "" for its name
	state     digest.State // what it says of the thing
	title     string       // over all of its story
	one, many string       // what subjects count
	say       func(e *digest.Entry) string
}

// kinds are Whence's events.
var kinds = map[string]kind{
	events.FirstContact: {keys: []string{"name"}, title: "First contacts", one: "first contact", many: "first contacts",
		say: func(e *digest.Entry) string { return "First contact with " + e.Key + "." }},
	events.NewDomain: {keys: []string{"name"}, title: "New domains", one: "new domain", many: "new domains",
		say: func(e *digest.Entry) string {
			return fmt.Sprintf("%s is a new domain, registered %s days before it was first seen.", e.Key, field(e, "age_days"))
		}},
	events.UpstreamDown: {keys: []string{"server"}, story: "upstream", state: digest.Down, title: "Upstream servers",
		one: "upstream server down", many: "upstream servers down", say: down("Upstream server ")},
	events.UpstreamUp: {keys: []string{"server"}, story: "upstream", state: digest.Up, title: "Upstream servers",
		one: "upstream server up again", many: "upstream servers up again", say: up("Upstream server ")},
	events.WorkerDown: {keys: []string{"worker"}, story: "worker", state: digest.Down, title: "Lookup workers",
		one: "lookup worker down", many: "lookup workers down", say: down("Lookup worker ")},
	events.WorkerUp: {keys: []string{"worker"}, story: "worker", state: digest.Up, title: "Lookup workers",
		one: "lookup worker up again", many: "lookup workers up again", say: up("Lookup worker ")},
	events.SourceRefreshed: {keys: []string{"file"}, title: "New data", one: "source refreshed", many: "sources refreshed",
		say: func(e *digest.Entry) string { return field(e, "source") + " has taken in " + e.Key + "." }},
	events.SourceRefused: {keys: []string{"file"}, title: "Refused data", one: "source refused", many: "sources refused",
		say: func(e *digest.Entry) string {
			if e.Data["last_good_serves"] == true {
				return field(e, "source") + " has refused " + e.Key + "; what was loaded before serves on."
			}
			return field(e, "source") + " has refused " + e.Key + "; nothing serves in its place."
		}},
	events.QuorumDisagreement: {keys: []string{"name"}, title: "Disagreements of upstream servers", one: "disagreement", many: "disagreements",
		say: func(e *digest.Entry) string { return "Upstream servers disagree about " + e.Key + "." }},
	events.DNSPolicy: {keys: []string{"name"}, title: "Policies", one: "policy match", many: "policy matches",
		say: func(e *digest.Entry) string { return "The policy " + field(e, "policy") + " met " + e.Key + "." }},
}

// kindOf is the kind of an event, also of one that is not Whence's.
func kindOf(name string) kind {
	k, ours := kinds[name]
	if !ours {
		return kind{keys: []string{"identifier", "name", "host"}, title: "Other events", one: name, many: name,
			say: func(e *digest.Entry) string { return strings.TrimSpace(e.Name+" "+e.Key) + "." }}
	}
	k.fields = events.Fields[name]
	return k
}

func field(e *digest.Entry, name string) string { return text(e.Data[name]) }

// down says that a thing does not work.
func down(what string) func(*digest.Entry) string {
	return func(e *digest.Entry) string { return what + e.Key + " is down since " + clock(e.Since) + "." }
}

// up says that it works again.
func up(what string) func(*digest.Entry) string {
	return func(e *digest.Entry) string {
		if e.Since.IsZero() {
			return what + e.Key + " is up again since " + clock(e.Last) + "."
		}
		return fmt.Sprintf("%s%s is up again since %s; it was down for %s.", what, e.Key, clock(e.Last), span(e.Last.Sub(e.Since)))
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// span is a time in seconds, or to three figures if it is shorter.
func span(d time.Duration) string {
	if d >= time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}
