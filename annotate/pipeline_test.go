package annotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/enrich"
)

// longLog has numbered lines of all lengths, and what becomes of it.
func longLog(n int) (log, want string) {
	r := rand.New(rand.NewPCG(1, 2))
	var in, out strings.Builder
	for i := range n {
		last, pad := r.IntN(256), strings.Repeat("x", r.IntN(200))
		fmt.Fprintf(&in, "%d 8.8.8.%d %s\n", i, last, pad)
		fmt.Fprintf(&out, "%d 8.8.8.%d[AS15169 US] %s\n", i, last, pad)
	}
	return in.String(), out.String()
}

func TestOrder(t *testing.T) {
	log, want := longLog(40_000)
	a := mustNew(t, Options{Format: Text, Workers: 8})
	if got := annotated(t, a, "", log); got != want {
		t.Error("the lines are not the same, or in another order")
	}
	if c := a.Counts(); c.Lines != 40_000 || c.Annotated != 40_000 || c.Bytes != int64(len(log)) {
		t.Errorf("%+v", c)
	}
}

// TestPieces reads logs in pieces of every size: it makes no difference.
func TestPieces(t *testing.T) {
	for format, log := range map[Format]string{
		Text: "a 8.8.8.8\nb\n\n2001:4860::1 c\r\n8.8.8.8",
		JSON: "{\"a\":\"8.8.8.8\"}\r\n{}\nx\n{\"a\":\"9.9.9.9\"}",
		CSV:  "ip,x\r\n8.8.8.8,\"a\r\n\"\"b\"\r\n9.9.9.9,\r\n\"",
	} {
		o := Options{Format: format, Workers: 2}
		want := annotated(t, mustNew(t, o), "", log)
		if strings.Count(want, "AS") != 2+strings.Count(want, "2001:4860") {
			t.Errorf("%v: %q", format, want)
		}
		for live := range 2 {
			for _, in := range []io.Reader{iotest.OneByteReader(strings.NewReader(log)), iotest.DataErrReader(strings.NewReader(log)), iotest.HalfReader(strings.NewReader(log))} {
				var out bytes.Buffer
				if err := mustNew(t, o).Annotate(context.Background(), Log{In: in, Out: &out, Live: live == 1}); err != nil || out.String() != want {
					t.Errorf("%v: %q (%v), want %q", format, out.String(), err, want)
				}
			}
		}
	}
}

func TestLongLines(t *testing.T) {
	long := "8.8.8.8 " + strings.Repeat("x", 300_000)
	log := "8.8.8.8\n" + long + "\n8.8.8.8\n" + long + " " + long + "\n" + long
	a := mustNew(t, Options{Format: Text, MaxLine: 4096})
	got := annotated(t, a, "", log)
	if want := strings.ReplaceAll(log, "8.8.8.8\n", "8.8.8.8[AS15169 US]\n"); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if c := a.Counts(); c.Lines != 5 || c.TooLong != 3 || c.Annotated != 2 {
		t.Errorf("%+v", c)
	}
	if got := annotated(t, mustNew(t, Options{Format: Text}), "", log); got != strings.ReplaceAll(log, "8.8.8.8", "8.8.8.8[AS15169 US]") {
		t.Error("lines that are not too long are not annotated")
	}
}

func TestBrokenLog(t *testing.T) {
	broken := errors.New("broken")
	var out bytes.Buffer
	in := io.MultiReader(strings.NewReader("8.8.8.8\n8.8.8.8"), iotest.ErrReader(broken))
	err := mustNew(t, Options{Format: Text}).Annotate(context.Background(), Log{Name: "a.log", In: in, Out: &out})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "a.log") || out.String() != "8.8.8.8[AS15169 US]\n8.8.8.8[AS15169 US]" {
		t.Errorf("%q, %v", out.String(), err)
	}
	err = mustNew(t, Options{Format: Text}).Annotate(context.Background(), Log{In: noProgress{}, Out: &out})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that reads nothing: %v", err)
	}
}

type noProgress struct{}

func (noProgress) Read([]byte) (int, error) { return 0, nil }

func TestFullDisk(t *testing.T) {
	full := errors.New("full")
	log, _ := longLog(20_000)
	n := 0
	err := mustNew(t, Options{Format: Text}).Annotate(context.Background(), Log{In: strings.NewReader(log), Out: writer(func(b []byte) (int, error) {
		if n++; n == 3 {
			return 0, full
		} else if n > 3 {
			t.Error("written on after an error")
		}
		return len(b), nil
	})})
	if !errors.Is(err, full) {
		t.Errorf("%v, want that the disk is full", err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// TestLive has lines come one by one: each is out before the next is in. Then the reading is interrupted.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(context.Background())
		r, w := io.Pipe()
		var out bytes.Buffer
		done := make(chan error, 1)
		go func() {
			done <- mustNew(t, Options{Format: Text, Workers: 2}).Annotate(ctx, Log{In: r, Out: &out, Live: true})
		}()
		want := ""
		for i := range 5 {
			fmt.Fprintf(w, "%d 8.8.8.8\n", i)
			want += fmt.Sprintf("%d 8.8.8.8[AS15169 US]\n", i)
			if synctest.Wait(); out.String() != want {
				t.Errorf("%q, want %q", out.String(), want)
			}
		}
		io.WriteString(w, "half a line")
		interrupt()
		if err := <-done; !errors.Is(err, context.Canceled) || out.String() != want {
			t.Errorf("%v, %q", err, out.String())
		}
		w.Close()
	})
}

// TestNewData has the sources change while a log is annotated: what was told before is not told again.
func TestNewData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(changing)
		s.asn.Store("AS64500")
		chain := enrich.NewChain("", enrich.Link{Name: "changing", Source: s})
		r, w := io.Pipe()
		var out bytes.Buffer
		done := make(chan error, 1)
		go func() {
			done <- mustNew(t, Options{Lookup: Local(chain), Format: Text, Fields: []string{"asn"}, Workers: 1}).Annotate(context.Background(), Log{In: r, Out: &out, Live: true})
		}()
		io.WriteString(w, "8.8.8.8\n8.8.8.8\n")
		synctest.Wait()
		s.asn.Store("AS64501")
		io.WriteString(w, "8.8.8.8\n")
		time.Sleep(2 * generationPeriod)
		io.WriteString(w, "8.8.8.8\n")
		w.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if want := "8.8.8.8[AS64500]\n8.8.8.8[AS64500]\n8.8.8.8[AS64500]\n8.8.8.8[AS64501]\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}

// changing is a source whose data change.
type changing struct{ asn atomic.Value }

func (c *changing) Add(_ *enrich.Query, r *enrich.Record) enrich.Verdict {
	r.Set("asn", c.asn.Load().(string))
	return enrich.Next
}

func (c *changing) Status() enrich.Status {
	return enrich.Status{Generation: uint64(c.asn.Load().(string)[6])}
}

// TestManyAnswers has more different answers than a worker keeps, in one log after the other.
func TestManyAnswers(t *testing.T) {
	chain := enrich.NewChain("", enrich.Link{Name: "echo", Source: echo{}})
	a := mustNew(t, Options{Lookup: Local(chain), Format: Text, Fields: []string{"site"}, Workers: 2, Summary: true})
	for range 2 {
		var in, want strings.Builder
		for i := range 2 * maxAnswers {
			fmt.Fprintf(&in, "10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
			fmt.Fprintf(&want, "10.%d.%d.%d[site=10.%[1]d.%d.%d]\n", i>>16, i>>8&255, i&255)
		}
		if annotated(t, a, "", in.String()) != want.String() {
			t.Error("answers are mixed up")
		}
	}
	if s := a.Summary(3); s.Annotated != 4*maxAnswers || len(s.Addresses) != 3 || s.Addresses[0].Count > 2 {
		t.Errorf("%+v", s)
	}
}

// echo is a source that knows of each address what it is.
type echo struct{}

func (echo) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	r.Set("site", q.Subject.String())
	return enrich.Next
}

// TestAllocations holds that a line costs no memory, when what it has is known.
func TestAllocations(t *testing.T) {
	for _, o := range []Options{
		{Format: Text}, {Format: Text, In: []string{"2"}}, {Format: Text, Append: true}, {Format: JSON, In: []string{"a", "b.c"}}, {Format: JSON},
		{Format: JSON, In: []string{"a"}, Flat: true}, {Format: CSV, In: []string{"2"}, Header: HeaderNo},
	} {
		line := "x 8.8.8.8 2001:4860::1 y\n"
		switch o.Format {
		case JSON:
			line = `{"a":"8.8.8.8","b":{"c":["2001:4860::1",1,true]}}` + "\n"
		case CSV:
			line = "x,8.8.8.8,\"y\"\n"
		}
		o.Workers = 1
		a := mustNew(t, o)
		log := strings.Repeat(line, 3000)
		w := a.workers[0]
		l, err := a.layoutOf("", []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		w.layout = l
		c := &chunk{in: []byte(log), layout: l}
		if n := testing.AllocsPerRun(5, func() {
			if err := w.annotate(context.Background(), c); err != nil {
				t.Fatal(err)
			}
		}); n > 2 {
			t.Errorf("%v %v: %v allocations for 3,000 lines", o.Format, o.In, n)
		}
		if !bytes.Contains(c.out, []byte("AS15169")) {
			t.Errorf("%v %v: %.100q", o.Format, o.In, c.out)
		}
	}
}
