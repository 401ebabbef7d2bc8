package caddynotify

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/whence-project/whence/internal/digest"
)

// hostname is where messages come from.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// headline says in a line what a message is about.
func headline(m *digest.Message) string {
	all, _ := m.Events()
	if len(m.Entries) == 1 && all == m.Entries[0].Count {
		return strings.TrimSuffix(sentence(m.Entries[0]), ".")
	}
	var order []string
	counts := make(map[string]int)
	for _, e := range m.Entries {
		if counts[e.Name]++; counts[e.Name] == 1 {
			order = append(order, e.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.More)) {
		if counts[name] == 0 {
			order = append(order, name)
		}
		counts[name] += m.More[name]
	}
	var parts []string
	for _, name := range order {
		k := kindOf(name)
		word := k.many
		if counts[name] == 1 {
			word = k.one
		}
		if name == "" {
			word = "others"
		}
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], word))
	}
	if m.Lost > 0 {
		parts = append(parts, fmt.Sprintf("%d events lost", m.Lost))
	}
	return strings.Join(parts, ", ")
}

// sentence says what an entry is about.
func sentence(e *digest.Entry) string { return kindOf(e.Name).say(e) }

// body is a message in words.
func body(m *digest.Message, host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From Whence on %s, %s\n", host, clock(m.Time))
	for _, group := range groups(m.Entries) {
		fmt.Fprintf(&b, "\n%s\n", kindOf(group[0].Name).title)
		for _, e := range group {
			b.WriteString("\n")
			paragraph(&b, e)
		}
	}
	leftOut(&b, m)
	return b.String()
}

// groups are the entries of one title after the other.
func groups(entries []*digest.Entry) (all [][]*digest.Entry) {
	place := make(map[string]int)
	for _, e := range entries {
		title := kindOf(e.Name).title
		at, ok := place[title]
		if !ok {
			at = len(all)
			place[title] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], e)
	}
	return all
}

// paragraph is an entry: a sentence, when it was, and the event's data.
func paragraph(b *strings.Builder, e *digest.Entry) {
	fmt.Fprintf(b, "  %s\n", sentence(e))
	switch {
	case e.Count > 1:
		fmt.Fprintf(b, "    events: %d, from %s to %s\n", e.Count, clock(e.First), clock(e.Last))
	case e.State == digest.Happened:
		fmt.Fprintf(b, "    time: %s\n", clock(e.Last))
	}
	data := e.Data
	if e.State == digest.Up && e.Cause != nil {
		data = e.Cause // why it was down
	}
	for _, field := range fieldsOf(e.Name, data) {
		if v := text(data[field]); v != "" && v != e.Key {
			fmt.Fprintf(b, "    %s: %s\n", field, v)
		}
	}
}

// leftOut is what a message does not list.
func leftOut(b *strings.Builder, m *digest.Message) {
	if len(m.More) > 0 {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(m.More)) {
			label := name
			if label == "" {
				label = "others"
			}
			parts = append(parts, fmt.Sprintf("%s: %d", label, m.More[name]))
		}
		fmt.Fprintf(b, "\nToo many to list: %s\n", strings.Join(parts, ", "))
	}
	if m.Lost > 0 {
		fmt.Fprintf(b, "\nLost, since no message could be delivered for a day: %d events\n", m.Lost)
	}
}
