package digest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// event reads "12 down a" or "12 contact a": seconds after t0, what happened, and to which thing.
func event(s string) Event {
	var seconds int
	var what, key string
	if _, err := fmt.Sscan(s, &seconds, &what, &key); err != nil {
		panic(s + ": " + err.Error())
	}
	e := Event{Name: what, Time: t0.Add(time.Duration(seconds) * time.Second), Key: key, Data: map[string]any{"at": seconds}}
	switch what {
	case "down":
		e.Story, e.State = "server", Down
	case "up":
		e.Story, e.State = "server", Up
	}
	return e
}

func events(list ...string) (evs []Event) {
	for _, s := range list {
		evs = append(evs, event(s))
	}
	return evs
}

// said is a content in words, a line an entry: story key state ×count first–last since downs.
func said(c Content) string {
	var b strings.Builder
	for _, e := range c.Entries {
		fmt.Fprintf(&b, "%s %s %d ×%d %v–%v", e.Story, e.Key, e.State, e.Count, e.First.Sub(t0).Seconds(), e.Last.Sub(t0).Seconds())
		if !e.Since.IsZero() {
			fmt.Fprintf(&b, " since %v", e.Since.Sub(t0).Seconds())
		}
		if e.Downs > 0 {
			fmt.Fprintf(&b, " downs %d", e.Downs)
		}
		if e.Cause != nil {
			fmt.Fprintf(&b, " cause %v", e.Cause["at"])
		}
		b.WriteString("\n")
	}
	var names []string
	for name, n := range c.More {
		names = append(names, fmt.Sprintf("+%d %s\n", n, name))
	}
	slices.Sort(names)
	b.WriteString(strings.Join(names, ""))
	if c.Lost > 0 {
		fmt.Fprintf(&b, "lost %d\n", c.Lost)
	}
	return b.String()
}

func lines(list ...string) string { return strings.Join(append(list, ""), "\n") }

func TestDigest(t *testing.T) {
	outage := make([]string, 1000)
	for i := range outage {
		outage[i] = fmt.Sprintf("%d down a", i)
	}
	for _, tt := range []struct {
		name   string
		events [][]string // of one message after the other
		want   []string
	}{
		{"an outage of a thousand events is one entry", [][]string{outage, {"1000 up a"}},
			[]string{lines("server a 1 ×1000 0–999 since 0 downs 1000 cause 999"), lines("server a 2 ×1 1000–1000 since 0")}},
		{"down and up again", [][]string{{"1 down a", "4 up a"}, {"9 up a"}},
			[]string{lines("server a 2 ×2 1–4 since 1 downs 1 cause 1"), lines("server a 2 ×1 9–9")}},
		{"down for several messages", [][]string{{"1 down a"}, {"2 down b"}, {"400 up a", "401 down a"}, {"500 up a", "501 up b"}},
			[]string{lines("server a 1 ×1 1–1 since 1 downs 1 cause 1"), lines("server b 1 ×1 2–2 since 2 downs 1 cause 2"),
				lines("server a 1 ×2 400–401 since 401 downs 1 cause 401"),
				lines("server a 2 ×1 500–500 since 401", "server b 2 ×1 501–501 since 2")}},
		{"things apart", [][]string{{"1 contact a", "2 down a", "3 contact b", "4 contact a"}},
			[]string{lines("contact a 0 ×2 1–4", "server a 1 ×1 2–2 since 2 downs 1 cause 2", "contact b 0 ×1 3–3")}},
		{"too many", [][]string{{"1 contact a", "2 contact b", "3 contact c", "4 contact d", "5 down x", "6 contact d", "7 contact a"}, {"8 contact d"}},
			[]string{lines("contact a 0 ×2 1–7", "contact b 0 ×1 2–2", "contact c 0 ×1 3–3", "+1 down", "+2 contact"), lines("contact d 0 ×1 8–8")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDigest(3)
			for i, evs := range tt.events {
				for _, e := range events(evs...) {
					d.Add(e)
				}
				if got := said(d.Take()); got != tt.want[i] {
					t.Errorf("message %d:\n%swant\n%s", i, got, tt.want[i])
				}
				if !d.IsEmpty() {
					t.Errorf("something is left after message %d", i)
				}
			}
		})
	}
}

func TestReturn(t *testing.T) {
	d := NewDigest(3)
	for _, e := range events("1 contact a", "2 down s", "3 contact b", "4 contact c") {
		d.Add(e)
	}
	failed := d.Take()
	for _, e := range events("100 up s", "101 contact d", "102 contact b") {
		d.Add(e)
	}
	if lost := d.Return(failed, t0); lost != 0 {
		t.Errorf("%d lost", lost)
	}
	failed = d.Take()
	if got, want := said(failed), lines("contact a 0 ×1 1–1", "server s 2 ×2 2–100 since 2 downs 1 cause 2", "contact b 0 ×2 3–102",
		"+2 contact"); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	if all, listed := failed.Events(); all != 7 || listed != 5 {
		t.Errorf("%d events, %d listed", all, listed)
	}
	if lost := d.Return(failed, t0.Add(50*time.Second)); lost != 1 {
		t.Errorf("%d lost", lost)
	}
	if got, want := said(d.Take()), lines("server s 2 ×2 2–100 since 2 downs 1 cause 2", "contact b 0 ×2 3–102", "+2 contact", "lost 1"); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
}

// What a client makes up does not grow in memory.
func TestDigestIsBounded(t *testing.T) {
	d := NewDigest(10)
	for i := range 100_000 {
		d.Add(Event{Name: fmt.Sprint("name", i), Time: t0, Key: "x"})
		d.Add(Event{Name: "down", Story: "server", Time: t0, Key: fmt.Sprint(i), State: Down})
	}
	if len(d.down) > mostDown || len(d.content.Entries) != 10 || len(d.content.More) > mostNames+1 {
		t.Errorf("%d down, %d entries, %d names", len(d.down), len(d.content.Entries), len(d.content.More))
	}
	c := d.Take()
	if all, listed := c.Events(); all != 200_000 || listed != 10 {
		t.Errorf("%d events, %d listed", all, listed)
	}
}
