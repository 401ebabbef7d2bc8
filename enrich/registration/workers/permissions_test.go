package workers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store/bus"
)

// TestPermissions has users who may do what Permissions says, and nothing else.
func TestPermissions(t *testing.T) {
	quoted := func(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }
	var users []string
	for _, worker := range []bool{false, true} {
		publish, subscribe := Permissions("house", worker)
		users = append(users, fmt.Sprintf("{user: %v, password: pw, permissions: {publish: {allow: [%s]}, subscribe: {allow: [%s]}, allow_responses: {max: 1, expires: \"4m\"}}}",
			map[bool]string{false: "front", true: "worker"}[worker], quoted(publish), quoted(subscribe)))
	}
	server := natstest.Start(t, natstest.Options{Config: "authorization { users: [" + strings.Join(users, ", ") + "] }\n"})
	open := func(user, name string, run Runner) (*Node, *bus.Bus) {
		b, err := bus.Open(bus.Options{URLs: []string{server.URL}, User: user, Password: "pw"})
		if err != nil {
			t.Fatal(err)
		}
		n, err := New(Options{Bus: b, Node: name, Prefix: "house", Manners: share("")})
		if err != nil {
			t.Fatal(err)
		}
		n.Open(run)
		t.Cleanup(func() { n.Close(); b.Close() })
		return n, b
	}
	front, frontBus := open("front", "front", nil)
	worker, workerBus := open("worker", "w1", new(runner))
	eventually(t, "a worker", func() bool { return len(front.Workers()) == 1 })
	if o, ok := errand(t, &machine{Node: front}, "sans.test"); !ok || o.Answer == nil {
		t.Errorf("%+v", o)
	}
	for _, n := range []*Node{front, worker} {
		if err := n.Permit(t.Context(), "peraddress"); n == front && err != nil {
			t.Error(err)
		}
	}
	if added, _, err := front.Enqueue(t.Context(), jobs(30)); added != 30 || err != nil {
		t.Errorf("%d added, %v", added, err)
	}
	eventually(t, "all is done", func() bool {
		p, err := front.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p.Left == 0 && p.Workers["w1"] > 0
	})
	if _, err := front.StopJobs(t.Context()); err != nil {
		t.Error(err)
	}
	worker.Close()
	for _, b := range []*bus.Bus{frontBus, workerBus} {
		if st := b.Status(); st.Error != "" {
			t.Errorf("status %+v", st)
		}
	}
}

// TestStopJobs takes off the list what is not done.
func TestStopJobs(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	eventually(t, "connected", func() bool { return front.bus.Status().Connected })
	if n, err := front.StopJobs(t.Context()); n != 0 || err != nil {
		t.Errorf("an empty list: %d, %v", n, err)
	}
	if _, _, err := front.Enqueue(t.Context(), jobs(20)); err != nil {
		t.Fatal(err)
	}
	if n, err := front.StopJobs(t.Context()); n != 20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	p := progress(t, front)
	if got := p.Progress(p.Started); p.Left != 0 || p.Done != 0 || p.Dropped != 20 || got.State != "stopped" {
		t.Errorf("%+v, %+v", p, got)
	}
}
