package events

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// The module "whence_events_test" emits as it is told, and hears what is emitted.
type testApp struct {
	Fail bool `json:"fail,omitempty"`

	emitter *Emitter
}

func (*testApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "whence_events_test", New: func() caddy.Module { return new(testApp) }}
}

var heard struct {
	mu     sync.Mutex
	events []string
	apps   []*testApp
}

func (a *testApp) Provision(ctx caddy.Context) (err error) {
	if a.emitter, err = For(ctx); err != nil {
		return err
	}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	heard.apps = append(heard.apps, a)
	return a.emitter.app.On("whence_test", a)
}

func (a *testApp) Handle(_ context.Context, e caddy.Event) error {
	heard.mu.Lock()
	defer heard.mu.Unlock()
	heard.events = append(heard.events, fmt.Sprint(e.Data["n"], " ", e.Origin().CaddyModule().ID))
	return nil
}

// Start posts before the events app may have started.
func (a *testApp) Start() error {
	a.emitter.Post("whence_test", map[string]any{"n": -1})
	if a.Fail {
		return fmt.Errorf("told to fail")
	}
	return nil
}

func (*testApp) Stop() error { return nil }

var _ caddyevents.Handler = (*testApp)(nil)

func init() { caddy.RegisterModule(new(testApp)) }

func load(t *testing.T, fail bool) (*testApp, error) {
	t.Helper()
	config, _ := json.Marshal(map[string]any{
		"admin": map[string]any{"disabled": true}, "apps": map[string]any{"whence_events_test": testApp{Fail: fail}},
	})
	err := caddy.Load(config, true)
	heard.mu.Lock()
	defer heard.mu.Unlock()
	return heard.apps[len(heard.apps)-1], err
}

func hears(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		heard.mu.Lock()
		got = slices.Clone(heard.events)
		heard.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("heard %q, want %q", got, want)
}

// What is posted in Start is heard, in order; what outlives a configuration emits through the newest one that has not ended, also
// where a configuration fails to start.
func TestEvents(t *testing.T) {
	defer caddy.Stop()
	var n Newest
	n.Post("whence_test", map[string]any{"n": "nobody"})
	one, err := load(t, false)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Push(one.emitter)()
	var want []string
	add := func(n any) { want = append(want, fmt.Sprint(n, " whence_events_test")) }
	add(-1)
	hears(t, want...)
	for i := range 100 {
		n.Post("whence_test", map[string]any{"n": i})
		add(i)
	}
	hears(t, want...)

	failed, err := load(t, true)
	if err == nil {
		t.Fatal("it did not fail")
	}
	if failed.emitter.Emit("whence_test", map[string]any{"n": "failed"}) {
		t.Error("a configuration that failed to start has emitted")
	}
	defer n.Push(failed.emitter)()
	n.Post("whence_test", map[string]any{"n": "rolled back"})
	add("rolled back")
	hears(t, want...)

	two, err := load(t, false)
	if err != nil {
		t.Fatal(err)
	}
	add(-1)
	hears(t, want...)
	if one.emitter.Emit("whence_test", map[string]any{"n": "ended"}) {
		t.Error("a configuration that has ended has emitted")
	}
	withdraw := n.Push(two.emitter)
	if !two.emitter.Emit("whence_test", map[string]any{"n": "two"}) {
		t.Error("the configuration that serves has not emitted")
	}
	n.Post("whence_test", map[string]any{"n": "newest"})
	add("two")
	add("newest")
	hears(t, want...)
	withdraw()
	n.Post("whence_test", map[string]any{"n": "withdrawn"})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	hears(t, want...)
}

// Slow handlers make the queue forget, not grow.
func TestQueueIsBounded(t *testing.T) {
	let := make(chan struct{})
	var emitted int
	var mu sync.Mutex
	q := queue{emit: func(string, map[string]any) bool {
		<-let
		mu.Lock()
		defer mu.Unlock()
		emitted++
		return true
	}}
	q.add("first", nil)
	for range 3 * mostPosted {
		q.add("more", nil)
	}
	close(let)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		q.mu.Lock()
		running := q.running
		q.mu.Unlock()
		if !running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it runs for ever")
		}
	}
	if emitted < mostPosted || emitted > 2*mostPosted+1 {
		t.Errorf("%d emitted", emitted)
	}
}

// The table in docs/events.md has these events, with these fields.
func TestDocumentedEvents(t *testing.T) {
	b, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string][]string)
	for line := range strings.Lines(string(b)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `whence_") {
			name := strings.Trim(cells[1], " `")
			for _, field := range strings.Split(cells[3], ",") {
				documented[name] = append(documented[name], strings.Trim(field, " `"))
			}
		}
	}
	if !maps.EqualFunc(documented, Fields, slices.Equal) {
		t.Errorf("docs/events.md has\n%v\nthe code has\n%v", documented, Fields)
	}
}
