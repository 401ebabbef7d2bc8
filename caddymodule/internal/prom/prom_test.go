package prom

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	asked = Counter("caddy_whence_test_asked_total", "How often.", "who")
	took  = Histogram("caddy_whence_test_seconds", "How long.")
	open  = Gauge("caddy_whence_test_open", "How many.")
	up    = Gauge("caddy_whence_test_up", "Whether.", "who")
)

// thing is what counts.
type thing struct {
	who  string
	n    float64
	up   bool
	long uint64
}

func newThings() *Live[*thing] {
	return NewLive(func(t *thing, s *Sample) {
		s.Add(asked, t.n, t.who)
		s.AddDurations(took, []uint64{1, 0, t.long})
		s.Add(open, 1)
		s.SetBool(up, t.up, t.who)
	}, asked, took, open, up)
}

func TestCountersOutliveWhatCounted(t *testing.T) {
	things := newThings()
	a, b := &thing{"x", 3, true, 4}, &thing{"x", 2, false, 0}
	things.Begin(a)
	things.Begin(b) // takes a's place
	const both = "asked_total x 5\nseconds 6 1.35e-05 1e-06:2 2e-06:2\n"
	check(t, things, "asked_total x 5\nopen 2\nseconds 6 1.35e-05 1e-06:2 2e-06:2\nup x 0\n")
	things.End(a)
	things.End(a) // a second time is no second life
	check(t, things, "asked_total x 5\nopen 1\nseconds 6 1.35e-05 1e-06:2 2e-06:2\nup x 0\n")
	things.End(b)
	check(t, things, both)
}

// check holds what a collector says, without the names' prefix, against want.
func check(t *testing.T, c prometheus.Collector, want string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range families {
		for _, m := range f.Metric {
			got.WriteString(strings.TrimPrefix(f.GetName(), "caddy_whence_test_"))
			for _, l := range m.Label {
				fmt.Fprint(&got, " ", l.GetValue())
			}
			if h := m.Histogram; h != nil {
				fmt.Fprint(&got, " ", h.GetSampleCount(), " ", h.GetSampleSum())
				for _, b := range h.Bucket {
					fmt.Fprint(&got, " ", b.GetUpperBound(), ":", b.GetCumulativeCount())
				}
			} else {
				fmt.Fprint(&got, " ", m.GetCounter().GetValue()+m.GetGauge().GetValue())
			}
			got.WriteByte('\n')
		}
	}
	if got.String() != want {
		t.Errorf("got:\n%swant:\n%s", got.String(), want)
	}
}

// TestLabelsOfFiles has a file whose name is not UTF-8, which would be an error of the whole scrape.
func TestLabelsOfFiles(t *testing.T) {
	things := newThings()
	things.Begin(&thing{who: "data/\xff.mmdb"})
	things.Begin(&thing{who: "data/\xfe.mmdb"})
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(things); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

// TestRegisterRemembers has a registry that is asked for one collector get those of configurations before it.
func TestRegisterRemembers(t *testing.T) {
	before := len(Collectors())
	first := NewReader(func(s *Sample) { s.Set(open, 7) }, open)
	second := NewReader(func(s *Sample) { s.Add(asked, 1, "y") }, asked)
	for _, c := range [][]prometheus.Collector{{first}, {second, first}, nil} {
		registry := prometheus.NewPedanticRegistry()
		for range 2 { // two modules of a configuration
			if err := register(registry, c); err != nil {
				t.Fatal(err)
			}
		}
		families, err := registry.Gather()
		if err != nil || c == nil && len(families) != before+2 {
			t.Errorf("%d families, %v", len(families), err)
		}
	}
	if n := len(Collectors()) - before; n != 2 {
		t.Errorf("%d collectors are remembered, want 2", n)
	}
}
