package workers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store/bus"
)

// runner runs errands as a test says.
type runner struct {
	mu   sync.Mutex
	ran  []string
	what func(ctx context.Context, e registration.Errand) registration.Outcome
}

func (r *runner) Run(ctx context.Context, e registration.Errand) (registration.Outcome, error) {
	r.mu.Lock()
	r.ran = append(r.ran, e.Subject)
	what := r.what
	r.mu.Unlock()
	if e.Subject == "bad" {
		return registration.Outcome{}, fmt.Errorf("errand: %q is nothing", e.Subject)
	}
	if what == nil {
		return answered, nil
	}
	return what(ctx, e), nil
}

func (r *runner) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ran)
}

var answered = registration.Outcome{Answer: []byte(`{"v":1}`)}

// machine is a node and its connection.
type machine struct {
	*Node
	bus *bus.Bus
	run *runner

	mu      sync.Mutex
	changes []Worker
}

// newMachine makes a node that asks, and works if it has a runner.
func newMachine(t *testing.T, url, name string, run *runner, o Options) *machine {
	t.Helper()
	b, err := bus.Open(bus.Options{URLs: []string{url}, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{bus: b, run: run}
	o.Bus, o.Node = b, name
	if o.Beat == 0 {
		o.Beat = 100 * time.Millisecond
	}
	if o.Changed == nil {
		o.Changed = func(w Worker) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.changes = append(m.changes, w)
		}
	}
	if m.Node, err = New(o); err != nil {
		t.Fatal(err)
	}
	if run == nil {
		m.Open(nil)
	} else {
		m.Open(run)
	}
	t.Cleanup(m.stop)
	return m
}

func (m *machine) stop() {
	_ = m.Close()
	m.bus.Close()
}

// crash ends the connection without a word.
func (m *machine) crash() { m.bus.Close() }

func (m *machine) told() (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.changes {
		list = append(list, fmt.Sprintf("%s %v", w.Name, w.Up))
	}
	return list
}

func (m *machine) up() (names []string) {
	for _, w := range m.Workers() {
		if w.Up {
			names = append(names, w.Name)
		}
	}
	return names
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func errand(t *testing.T, m *machine, subject string) (registration.Outcome, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	return m.Run(ctx, "operator", registration.Errand{Subject: subject})
}

func declines(ctx context.Context, e registration.Errand) registration.Outcome {
	return registration.Outcome{Declined: true, Kind: enrich.Unfetched, Text: "not my turn", Again: time.Now().Add(time.Hour)}
}

func TestErrandsAreSpread(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	if _, ok := errand(t, front, "nobody.test"); ok {
		t.Error("an outcome, without workers")
	}
	first, second := new(runner), new(runner)
	newMachine(t, nats.URL, "w1", first, Options{})
	newMachine(t, nats.URL, "w2", second, Options{})
	eventually(t, "two workers", func() bool { return slices.Equal(front.up(), []string{"w1", "w2"}) })
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if o, ok := errand(t, front, fmt.Sprintf("n%d.test", i)); !ok || o.Answer == nil {
				t.Errorf("%+v %v", o, ok)
			}
		})
	}
	all.Wait()
	if a, b := first.count(), second.count(); a+b != 200 || a < 40 || b < 40 {
		t.Errorf("%d and %d errands", a, b)
	}
	if o, ok := errand(t, front, "bad"); !ok || o.Kind != enrich.Failed || !strings.Contains(o.Text, "is nothing") {
		t.Errorf("a bad errand: %+v %v", o, ok)
	}
	// One that has no turn is not asked about that operator again, and the other is.
	first.mu.Lock()
	first.what = declines
	first.mu.Unlock()
	before := first.count()
	for i := range 50 {
		if o, ok := errand(t, front, fmt.Sprintf("m%d.test", i)); !ok || o.Answer == nil {
			t.Errorf("%+v %v", o, ok)
		}
	}
	if n := first.count() - before; n > 1 {
		t.Errorf("a worker without a turn was asked %d times", n)
	}
	// Where all have none, the last word is theirs.
	second.mu.Lock()
	second.what = declines
	second.mu.Unlock()
	if o, ok := errand(t, front, "late.test"); !ok || !o.Declined || o.Text != "not my turn" {
		t.Errorf("%+v %v", o, ok)
	}
	if told := front.told(); len(told) != 0 {
		t.Errorf("told: %q", told)
	}
}

// TestWorkersFail has a worker vanish with an errand, come back, and leave with a word.
func TestWorkersFail(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	stuck := &runner{what: func(ctx context.Context, _ registration.Errand) registration.Outcome {
		<-ctx.Done()
		return registration.Outcome{}
	}}
	bad := newMachine(t, nats.URL, "w1", stuck, Options{})
	eventually(t, "a worker", func() bool { return len(front.up()) == 1 })
	done := make(chan registration.Outcome)
	go func() {
		o, _ := errand(t, front, "moved.test")
		done <- o
	}()
	eventually(t, "the errand is there", func() bool { return stuck.count() == 1 })
	good := newMachine(t, nats.URL, "w2", new(runner), Options{})
	eventually(t, "two workers", func() bool { return len(front.up()) == 2 })
	began := time.Now()
	bad.crash()
	if o := <-done; o.Answer == nil {
		t.Errorf("the errand of a worker that vanished: %+v", o)
	}
	t.Logf("done elsewhere after %v, with a beat of 100 ms", time.Since(began))
	eventually(t, "told", func() bool { return slices.Equal(front.told(), []string{"w1 false"}) })
	if w := front.Workers()[0]; w.Up || time.Since(w.Since) > 10*time.Second {
		t.Errorf("%+v", w)
	}
	newMachine(t, nats.URL, "w1", new(runner), Options{})
	eventually(t, "back", func() bool { return slices.Equal(front.told(), []string{"w1 false", "w1 true"}) })
	good.stop()
	eventually(t, "gone", func() bool { return slices.Equal(front.up(), []string{"w1"}) })
	if told := front.told(); len(told) != 2 {
		t.Errorf("told of one that left: %q", told)
	}
}

// TestNATSAway kills the server of NATS: no worker is taken for down because of that, and all goes on when it is back.
func TestNATSAway(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	newMachine(t, nats.URL, "w1", new(runner), Options{})
	eventually(t, "a worker", func() bool { return len(front.up()) == 1 })
	nats.Kill()
	eventually(t, "noticed", func() bool { return !front.bus.Status().Connected })
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if o, ok := front.Run(ctx, "operator", registration.Errand{Subject: "away.test"}); ok || o.Answer != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%+v %v after %v", o, ok, time.Since(began))
	}
	nats.Restart()
	eventually(t, "connected", func() bool { return front.bus.Status().Connected })
	if o, ok := errand(t, front, "back.test"); !ok || o.Answer == nil {
		t.Errorf("%+v %v", o, ok)
	}
	if told := front.told(); len(told) != 0 {
		t.Errorf("told: %q", told)
	}
}

// share makes the limits of a machine with that address: one operator counts by address, the other all that comes.
func share(addr string) *manners.Manners {
	o := manners.Options{Operators: []manners.Operator{
		{Name: "peruser", Hosts: []string{"peruser.test"}, Limit: manners.Limit{Rates: []limit.Rate{{Events: 10, Per: time.Hour}}}},
		{Name: "peraddress", Hosts: []string{"peraddress.test"}, Limit: manners.Limit{Rates: []limit.Rate{{Events: 10, Per: time.Hour}}, Bits4: 32, Bits6: 64}},
	}}
	if addr != "" {
		o.Sources = []netip.Addr{netip.MustParseAddr(addr)}
	}
	return manners.New(o)
}

func TestLeases(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	lease := Options{Lease: 2 * time.Second}
	with := func(m *manners.Manners, egress string) Options {
		o := lease
		o.Manners, o.Egress = m, egress
		return o
	}
	m1 := share("192.0.2.1")
	w1 := newMachine(t, nats.URL, "w1", nil, with(m1, ""))
	m2 := share("192.0.2.2")
	w2 := newMachine(t, nats.URL, "w2", nil, with(m2, ""))
	eventually(t, "connected", func() bool { return w1.bus.Status().Connected && w2.bus.Status().Connected })
	permit := func(m *machine, operator, want string) {
		t.Helper()
		err := m.Permit(t.Context(), operator)
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%s asks %s: %v, want %q", m.opt.Node, operator, err, want)
		}
	}
	permit(w1, "peraddress", "<nil>")
	permit(w2, "peraddress", "<nil>")
	permit(w1, "peruser", "<nil>")
	permit(w2, "peruser", "w1 asks peruser for all machines")
	permit(w1, "peruser", "<nil>")
	// Machines that do not say where they come from may be behind one address.
	w3 := newMachine(t, nats.URL, "w3", nil, with(share(""), ""))
	w4 := newMachine(t, nats.URL, "w4", nil, with(share(""), ""))
	w5 := newMachine(t, nats.URL, "w5", nil, with(share(""), "berlin"))
	eventually(t, "connected", func() bool {
		return w3.bus.Status().Connected && w4.bus.Status().Connected && w5.bus.Status().Connected
	})
	permit(w3, "peraddress", "<nil>")
	permit(w4, "peraddress", "w3 asks peraddress")
	permit(w5, "peraddress", "<nil>")

	// The holder uses up part of the limit, and goes. Who comes after it takes that over.
	for range 7 {
		turn, err := m1.Wait(t.Context(), manners.Request{Operator: "peruser", Server: "peruser.test"})
		if err != nil {
			t.Fatal(err)
		}
		turn.Done(manners.Outcome{Kind: manners.OK})
	}
	w1.stop()
	eventually(t, "the lease goes over", func() bool { return w2.Permit(t.Context(), "peruser") == nil })
	left := func(m *manners.Manners) int {
		for _, op := range m.Status() {
			if op.Name == "peruser" {
				return op.Clients[0].Left
			}
		}
		return -1
	}
	if n := left(m2); n != 3 {
		t.Errorf("%d queries left of 10, after 7", n)
	}
	if got := w2.Leases(); !slices.Equal(got, []string{"peraddress", "peruser"}) {
		t.Errorf("leases %q", got)
	}
	// One that vanishes loses it, and what it used up since it said so last is the most that is forgotten.
	eventually(t, "renewed", func() bool {
		kv, used, err := w2.leases.buckets(t.Context())
		if err != nil || kv == nil {
			return false
		}
		_, err = used.Get(t.Context(), w2.key("peruser", netip.Prefix{}))
		return err == nil
	})
	w2.crash()
	m6 := share("192.0.2.6")
	w6 := newMachine(t, nats.URL, "w6", nil, with(m6, ""))
	eventually(t, "the lease goes over", func() bool { return w6.Permit(t.Context(), "peruser") == nil })
	if n := left(m6); n != 3 {
		t.Errorf("%d queries left of 10, after 7", n)
	}
	permit(w2, "peruser", "it cannot be told which machine may ask peruser")
}

func FuzzBeat(f *testing.F) {
	f.Add([]byte(`{"node":"w1","instance":"x","under_way":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseBeat(b); err == nil && (v.Node == "" || v.UnderWay < 0) {
			t.Errorf("%+v", v)
		}
	})
}
