package layer4whois

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/enrich"
)

// footerEvery is how often it is looked whether the chain's data have changed.
const footerEvery = time.Second

// footer is what ends answers: the operator's lines, and those that the licences of the data ask for which are loaded now. It is made
// once for each generation of the data.
type footer struct {
	chain   *enrich.Chain
	own     []string
	look    atomic.Int64 // when to look again, Unix nanoseconds
	looking sync.Mutex   // one at a time, and guards generations
	of      []uint64     // the generations that lines were made of
	lines   atomic.Pointer[[]string]
}

// at is the footer at a time, which is at most footerEvery older. It must not be changed.
func (f *footer) at(now time.Time) []string {
	switch {
	case f.lines.Load() == nil: // the first waits for it
		f.looking.Lock()
	case now.UnixNano() < f.look.Load() || !f.looking.TryLock():
		return *f.lines.Load()
	}
	f.refresh(now)
	return *f.lines.Load()
}

// refresh makes the lines if the data have changed, and gives looking back, which the caller holds.
func (f *footer) refresh(now time.Time) {
	defer f.looking.Unlock()
	f.look.Store(now.Add(footerEvery).UnixNano())
	status := f.chain.Status()
	var of []uint64
	for _, s := range status {
		of = append(of, s.Generation)
	}
	if f.lines.Load() != nil && slices.Equal(of, f.of) {
		return
	}
	lines := slices.Clone(f.own)
	for _, s := range status {
		for _, d := range s.Data {
			if line := "% " + enrich.Clean(d.Attribution); d.Attribution != "" && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	f.of = of
	f.lines.Store(&lines)
}
