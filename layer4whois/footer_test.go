package layer4whois

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

// credited is a source whose data ask for attributions.
type credited struct {
	*world
	mu     sync.Mutex
	status enrich.Status
	asked  int
}

func (c *credited) Status() enrich.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.status
}

func (c *credited) load(generation uint64, attributions ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = enrich.Status{Generation: generation}
	for _, a := range attributions {
		c.status.Data = append(c.status.Data, enrich.DataStatus{Attribution: a})
	}
}

// TestCredits ends answers with what the loaded data ask for: looked at once a second, made once a generation, and only where an
// answer has a footer.
func TestCredits(t *testing.T) {
	source := &credited{world: newWorld()}
	source.load(1, "by A", "", "by B", "by A", "by\r\nC")
	var mu sync.Mutex
	now := time.Unix(1e9, 0)
	_, addr := start(t, Options{
		Chain: enrich.NewChain("", enrich.Link{Name: "mmdb", Source: source}), Footer: []string{"% ours"}, Credits: true,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		},
	})
	answers := func(query, want string) {
		t.Helper()
		got := unixLines(ask(t, addr, query))
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s is answered\n%s\nwant at its end\n%s", query, got, want)
		}
	}
	answers("8.8.8.8", "dbstatus: ok - data found\n% ours\n% by A\n% by B\n% by C\n")
	answers("--aligned 8.8.8.8", "\n\n% ours\n% by A\n% by B\n% by C\n")
	answers("--json 8.8.8.8", "}\n")
	source.load(2, "by D")
	answers("8.8.8.8", "% by A\n% by B\n% by C\n") // within the second
	if source.asked != 1 {
		t.Errorf("the status was asked for %d times", source.asked)
	}
	mu.Lock()
	now = now.Add(footerEvery)
	mu.Unlock()
	answers("8.8.8.8", "dbstatus: ok - data found\n% ours\n% by D\n")
	answers("Customer-7", "Customer:\tseven\n\n")
}

// BenchmarkFooter is what credits cost an answer.
func BenchmarkFooter(b *testing.B) {
	source := &credited{world: newWorld()}
	source.load(1, "by A")
	f := &footer{chain: enrich.NewChain("", enrich.Link{Name: "mmdb", Source: source})}
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		f.at(now)
	}
}
