//go:build linux

package contest

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// scripted is a contender whose runs take these samples, the first of them to warm up.
func scripted(name string, turns *[]string, samples ...Sample) *Contender {
	i := -1
	return &Contender{Name: name, Run: func() (Sample, error) {
		i++
		*turns = append(*turns, name)
		return samples[i], nil
	}}
}

func TestContest(t *testing.T) {
	var turns []string
	sample := func(rate, cpu, other, bytes float64) Sample {
		return Sample{Rate: rate, CPU: cpu, Other: other, More: map[string]float64{"bytes": bytes}}
	}
	a := scripted("a", &turns, sample(1, 1, 1, 1), sample(100, 10, 0, 7), sample(300, 30, 0, 7), sample(200, 20, 0.1, 7))
	b := scripted("b", &turns, sample(1, 1, 1, 1), sample(50, 15, 0.2, 9), sample(60, 60, 0.2, 9), sample(70, 20, 0.2, 9))
	if err := Run([]*Contender{a, b}, 3, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(turns, ""), "ab"+"ab"+"ba"+"ab"; got != want {
		t.Errorf("turns %s, want %s", got, want)
	}
	if a.Median(Rate) != 200 || a.Median(CPU) != 20 || b.Ratio(a) != 1.5 {
		t.Errorf("medians %v and %v, ratio %v", a.Median(Rate), a.Median(CPU), b.Ratio(a))
	}
	var out strings.Builder
	Table{Rate: "query/s", Unit: "query", Columns: []string{"bytes"}}.Write(&out, []*Contender{a, b}, a)
	want := `| server | query/s | server CPU µs/query | least–most  | × a  | bytes | others' CPU |
| ---    | ---     | ---                 | ---         | ---  | ---   | ---         |
| a      | 200     | 20.00               | 10.00–30.00 | 1.00 | 7     | 0 %         |
| b      | 60      | 20.00               | 15.00–60.00 | 1.50 | 9     | 20 %        |

The machine was busy with other work (20 % of it beside b): run it again when it is not.
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestContestEndsWithTheFirstFailure(t *testing.T) {
	failure := errors.New("reset")
	err := Run([]*Contender{{Name: "a", Run: func() (Sample, error) { return Sample{}, failure }}}, 3, io.Discard)
	if !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), "a: ") {
		t.Error(err)
	}
}

func TestBudgets(t *testing.T) {
	var out strings.Builder
	AtMost(&out, "µs", 1.1, 1)
	AtMost(&out, "µs", 1, 1)
	AtLeast(&out, "names/s", 1500, 2000)
	AtLeast(&out, "names/s", 2000, 2000)
	want := "- µs: 1.1, budget ≤ 1: MISSED by 10 %\n- µs: 1, budget ≤ 1: met\n" +
		"- names/s: 1500, budget ≥ 2000: MISSED by 25 %\n- names/s: 2000, budget ≥ 2000: met\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestOthersOfAProgramAlone(t *testing.T) {
	others := Others()
	if share := others(1 << 40); share != 0 {
		t.Errorf("more was used than there is, and others have %v", share)
	}
}
