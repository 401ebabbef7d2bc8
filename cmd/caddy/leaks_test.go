package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// holdings is what a process holds when nobody asks anything of it.
type holdings struct {
	goroutines map[string]int // by where they are
	files      map[string]int // by what they are; none where the system does not tell
	heap       map[string]int // bytes, by who took them; sampled
	heapBytes  int
	resident   int // bytes
}

// holdings has the server collect its garbage, and counts.
func (s *server) holdings() holdings {
	s.t.Helper()
	s.get("/debug/pprof/heap?gc=1") // what has a finalizer goes in the next round
	heap := s.get("/debug/pprof/heap?gc=1&debug=1")
	h := holdings{
		goroutines: byStack(s.get("/debug/pprof/goroutine?debug=1"), regexp.MustCompile(`^(\d+) @`)),
		heap:       byStack(heap, regexp.MustCompile(`^\d+: (\d+) \[`)),
		files:      make(map[string]int),
		resident:   s.rss(),
	}
	_, alloc, _ := strings.Cut(heap, "# HeapAlloc = ")
	fmt.Sscan(alloc, &h.heapBytes)
	fds := fmt.Sprintf("/proc/%d/fd/", s.cmd.Process.Pid)
	entries, _ := os.ReadDir(fds)
	for _, e := range entries {
		what, _ := os.Readlink(fds + e.Name())
		kind, _, _ := strings.Cut(what, ":[") // "socket:[4491489]"
		h.files[kind]++
	}
	return h
}

// byStack adds up what a profile has of each stack, named by its innermost frame that is not the standard library's and by its
// outermost.
func byStack(profile string, count *regexp.Regexp) map[string]int {
	sums := make(map[string]int)
	n, inner, outer := 0, "", ""
	end := func() {
		if n > 0 {
			sums[inner+" of "+outer] += n
		}
		n, inner, outer = 0, "", ""
	}
	for line := range strings.Lines(profile) {
		if m := count.FindStringSubmatch(line); m != nil {
			end()
			n, _ = strconv.Atoi(m[1])
		}
		if frame := strings.Fields(line); len(frame) > 2 && frame[0] == "#" {
			outer, _, _ = strings.Cut(frame[2], "+0x")
			if domain, _, ok := strings.Cut(outer, "/"); inner == "" && ok && strings.Contains(domain, ".") {
				inner = outer
			}
		}
	}
	end()
	return sums
}

func total(counts map[string]int) (n int) {
	for c := range maps.Values(counts) {
		n += c
	}
	return n
}

// grown says what there is more of, the most first.
func grown(before, after map[string]int) string {
	more := make(map[string]int)
	for what, n := range after {
		if n > before[what] {
			more[what] = n - before[what]
		}
	}
	var b strings.Builder
	for i, what := range slices.SortedFunc(maps.Keys(more), func(x, y string) int { return cmp.Compare(more[y], more[x]) }) {
		if i == 8 {
			fmt.Fprintf(&b, "\n\t… %d others", len(more)-i)
			break
		}
		fmt.Fprintf(&b, "\n\t%+d %s", more[what], what)
	}
	return b.String()
}

// Between two moments of rest a server may differ by that much: timers of Caddy's and the runtime's come and go, the configuration before
// the last may not be let go yet, and the allocator keeps what it may need again.
const (
	fewMore      = 3
	bytesMore    = 3 << 20
	residentMore = 64 << 20
)

// checkFlat holds what a server holds against what it held before, and names what there is more of. Configurations that have ended
// have their grace to let go.
func (s *server) checkFlat(t *testing.T, before holdings) {
	t.Helper()
	after := s.holdings()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && !after.flat(before); after = s.holdings() {
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%d goroutines became %d, %d files %d, %d KiB on the heap %d, %d MiB resident %d", total(before.goroutines), total(after.goroutines),
		total(before.files), total(after.files), before.heapBytes>>10, after.heapBytes>>10, before.resident>>20, after.resident>>20)
	if after.flat(before) {
		return
	}
	t.Errorf("what it holds has grown.\ngoroutines:%s\nfiles:%s\nbytes on the heap, %+d in all:%s\nresident: %+d MiB",
		grown(before.goroutines, after.goroutines), grown(before.files, after.files), after.heapBytes-before.heapBytes,
		grown(before.heap, after.heap), (after.resident-before.resident)>>20)
}

func (h *holdings) flat(before holdings) bool {
	return total(h.goroutines) <= total(before.goroutines)+fewMore && total(h.files) <= total(before.files)+fewMore &&
		h.heapBytes <= before.heapBytes+bytesMore && h.resident <= before.resident+residentMore
}
