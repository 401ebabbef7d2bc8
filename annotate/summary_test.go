package annotate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	log := "8.8.8.8 9.9.9.9 8.8.4.4 example.org\n2001:4860::1 example.org 8.8.8.8\n127.0.0.1\nx\n" + strings.Repeat("y", 2000) + "\n"
	a := mustNew(t, Options{Format: Text, Names: true, Fields: []string{"asn"}, Summary: true, MaxLine: 1024})
	annotated(t, a, "", log)
	var out bytes.Buffer
	if err := a.Summary(2).Write(&out); err != nil {
		t.Fatal(err)
	}
	want := `lines          5
annotated      2
nothing known  1
rejected       0
too long       1

AS       count
AS15169  3  Google LLC
AS19281  1  Quad9 "DNS"

network      count
8.8.8.0/24   2
127.0.0.0/8  1

country  count
US       3
CH       1

address    count
8.8.8.8    2
127.0.0.1  1

name         count
example.org  2
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s := mustNew(t, Options{Format: Text}).Summary(2); len(s.AS) != 0 {
		t.Errorf("a summary that nobody asked for: %+v", s)
	}
}

// TestTop counts more things than are kept: those that come often are found, and no count is further off than is said.
func TestTop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	real := make(map[string]uint64)
	parts := []top[string]{newTop[string](), newTop[string]()}
	for i := range 10 * maxCounted {
		k := fmt.Sprint("once", i)
		if i%10 == 0 {
			k = fmt.Sprint("often", r.IntN(20))
		}
		real[k]++
		parts[i%2].add(k, 1)
	}
	parts[0].merge(&parts[1])
	all := &parts[0]
	if len(all.counts) > 2*maxCounted || all.lost == 0 || all.lost > 200 {
		t.Errorf("%d kept, %d lost", len(all.counts), all.lost)
	}
	for _, c := range first(all, 20, func(k string) Count { return Count{Value: k} }) {
		if n := real[c.Value]; !strings.HasPrefix(c.Value, "often") || c.Count > n || c.Count+all.lost < n {
			t.Errorf("%s: %d, were %d", c.Value, c.Count, n)
		}
	}
}
