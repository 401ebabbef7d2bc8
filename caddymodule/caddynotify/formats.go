package caddynotify

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/whence-project/whence/internal/digest"
)

// posted is a message as JSON.
type posted struct {
	ID      string         `json:"id"`   // of the message; another for each try
	Host    string         `json:"host"` // where it comes from
	Time    time.Time      `json:"time"`
	Text    string         `json:"text"` // what it is about, in a line
	Events  []postedEvent  `json:"events"`
	Dropped int            `json:"dropped"`                    // events that are not listed
	ByEvent map[string]int `json:"dropped_by_event,omitempty"` // of these, those that are counted by their names
}

// postedEvent is what a message says of one thing.
type postedEvent struct {
	Event string         `json:"event"` // the last one's name
	Key   string         `json:"key,omitempty"`
	State string         `json:"state,omitempty"` // down or up, of things that are one or the other
	Since *time.Time     `json:"since,omitempty"` // since when it is down, or was until it came up
	Count int            `json:"count"`
	First time.Time      `json:"first"`
	Last  time.Time      `json:"last"`
	Text  string         `json:"text"`
	Data  map[string]any `json:"data"`            // of the last event
	Cause map[string]any `json:"cause,omitempty"` // of a thing that is up again: why it was down
}

var states = [...]string{digest.Happened: "", digest.Down: "down", digest.Up: "up"}

func asJSON(m *digest.Message, host string) ([]byte, error) {
	all, listed := m.Events()
	p := posted{ID: m.ID, Host: host, Time: m.Time.UTC(), Text: headline(m), Events: make([]postedEvent, 0, len(m.Entries)), Dropped: all - listed,
		ByEvent: m.More}
	for _, e := range m.Entries {
		pe := postedEvent{Event: e.Name, Key: e.Key, State: states[e.State], Count: e.Count, First: e.First, Last: e.Last, Text: sentence(e), Data: e.Data}
		if !e.Since.IsZero() {
			pe.Since = &e.Since
		}
		if e.State == digest.Up {
			pe.Cause = e.Cause
		}
		p.Events = append(p.Events, pe)
	}
	return json.Marshal(p)
}

// forSlack are the characters that mean something in Slack's texts.
var forSlack = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// asSlack is a text as incoming webhooks of Slack, Mattermost and others take it.
func asSlack(m *digest.Message, host string) ([]byte, error) {
	var b strings.Builder
	b.WriteString("Whence on " + host + ": " + headline(m))
	if len(m.Entries) > 1 || len(m.More) > 0 || m.Lost > 0 {
		for _, e := range m.Entries {
			b.WriteString("\n• " + sentence(e))
		}
		leftOut(&b, m)
	}
	return json.Marshal(map[string]string{"text": forSlack.Replace(strings.TrimRight(b.String(), "\n"))})
}
