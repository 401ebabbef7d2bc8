package caddynotify

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/internal/digest"
)

// BenchmarkHandle is what an event costs its emitter: of one thing again and again, and of as many things as there are events.
func BenchmarkHandle(b *testing.B) {
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = fmt.Sprintf("name%d.example.org", i)
	}
	for _, bb := range []struct {
		name string
		data func(i int) map[string]any
	}{
		{"one thing", func(int) map[string]any {
			return map[string]any{"name": "example.org", "scope": "dns", "event": uint64(1)}
		}},
		{"many things", func(i int) map[string]any {
			return map[string]any{"name": names[i%len(names)], "scope": "dns", "event": uint64(1)}
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			box := digest.NewOutbox(digest.Options{Wait: time.Hour, Send: func(context.Context, *digest.Message) error { return nil }})
			defer box.Close(b.Context())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				box.Add(eventOf(events.FirstContact, time.Now(), bb.data(i)))
			}
		})
	}
}
