package rank

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// parse reads a list from text, and renders it in the order of its ranks.
func parse(text string) (got, format string, bad int, err error) {
	var b builder
	r, err := read(context.Background(), strings.NewReader(text), &b)
	if err != nil {
		return "", "", 0, err
	}
	var out []string
	for rank, name := range b.build().top(1 << 20) {
		out = append(out, fmt.Sprint(rank, " ", name))
	}
	return strings.Join(out, ", "), r.format, r.bad, nil
}

// good is enough good lines to allow a bad one among them.
var good = func() string {
	var b strings.Builder
	for i := range maxBad {
		fmt.Fprintf(&b, "%d,n%d.example.org\n", 100+i, i)
	}
	return b.String()
}()

func TestRead(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct{ name, in, want, format string }{
		{"Umbrella", "1,example.org\r\n2,www.example.org\r\n3,org\r\n", "1 example.org, 2 www.example.org, 3 org", "rank,domain"},
		{"Tranco", "1,example.org\n2,example.com", "1 example.org, 2 example.com", "rank,domain"},
		{"Majestic", "GlobalRank,TldRank,Domain,TLD,RefSubNets\n1,1,example.com,com,9\n2,1,example.org,org,8\n",
			"1 example.com, 2 example.org", "globalrank,domain"},
		{"quotes", "\"Rank\",\"Domain\",\"Page Rank\"\n\"1\",\"example.org\",\"10.00\"\n\"2\", \"example.com\" ,\"9\"\n",
			"1 example.org, 2 example.com", "rank,domain"},
		{"a header alone in its order", "domain\nexample.org\nexample.com\n", "1 example.org, 2 example.com", "domain"},
		{"columns the other way round", "Domain;Rank\nexample.org;7\n", "7 example.org", "rank,domain"},
		{"a hash as a header", "#,Domain\n1,example.org\n", "1 example.org", "#,domain"},
		{"names alone", "example.org\n\nexample.com\n", "1 example.org, 2 example.com", "one name a line"},
		{"tabs", "1\texample.org\n2\texample.com\n", "1 example.org, 2 example.com", "rank,domain"},
		{"BOM", "\xef\xbb\xbf1,example.org\n", "1 example.org", "rank,domain"},
		{"comments", "# of today\n1,example.org\n  # and so on\n2,example.com\n", "1 example.org, 2 example.com", "rank,domain"},
		{"case and final dot", "1,Example.ORG.\n", "1 example.org", "rank,domain"},
		{"internationalised", "1,MÜLLER.example\n2,xn--mller-kva.test\n", "1 xn--mller-kva.example, 2 xn--mller-kva.test", "rank,domain"},
		{"odd names that are in use", "1,-a_b-.example.org\n2,_dmarc.example.org\n", "1 -a_b-.example.org, 2 _dmarc.example.org", "rank,domain"},
		{"not in order", "3,c.example.org\n1,a.example.org\n2,b.example.org\n", "1 a.example.org, 2 b.example.org, 3 c.example.org", "rank,domain"},
		{"twice", "1,a.example.org\n2,b.example.org\n3,A.example.org\n", "1 a.example.org, 2 b.example.org", "rank,domain"},
		{"twice, the better later", "5,a.example.org\n4,b.example.org\n3,a.example.org\n", "3 a.example.org, 4 b.example.org", "rank,domain"},
		{"the longest label", "1," + long + ".org\n", "1 " + long + ".org", "rank,domain"},
		{"the last rank", "4294967295,example.org\n", "4294967295 example.org", "rank,domain"},
	} {
		got, format, bad, err := parse(tt.in)
		if got != tt.want || format != tt.format || bad != 0 || err != nil {
			t.Errorf("%s: %q, %q, %d bad, %v; want %q, %q", tt.name, got, format, bad, err, tt.want, tt.format)
		}
	}
}

func TestReadLeavesBadLinesOut(t *testing.T) {
	clean, _, _, _ := parse(good)
	for _, line := range []string{
		"x,example.org", "0,example.org", "-1,example.org", "4294967296,example.org", "99999999999,example.org", "1", "1,", ",example.org",
		"1,a..example.org", "1,.example.org", "1,.", "1,a b.example.org", "1,http://example.org/", "1,*.example.org", "1,example.org/x",
		"1," + strings.Repeat("a", 64) + ".org", "1," + strings.Repeat("a.", 127) + "org", "1,a\x00b.org", "1,ü@b.example", "1,\xff.example",
		strings.Repeat("1", maxLine+1), "1," + strings.Repeat("a", 3*maxLine),
	} {
		got, _, bad, err := parse(good + line + "\n")
		if got != clean || bad != 1 || err != nil {
			t.Errorf("%.80q: %d bad, %v, names %.60q…", line, bad, err, got)
		}
	}
}

func TestReadCountsPositions(t *testing.T) {
	names := strings.ReplaceAll(good, ",", "-")
	got, _, bad, err := parse(names + "not a name\nlast.example.org\n")
	if want := fmt.Sprintf("%d last.example.org", maxBad+2); !strings.HasSuffix(got, want) || bad != 1 || err != nil {
		t.Errorf("%q, %d bad, %v, want …%q", got, bad, err, want)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "no names"},
		{"comments alone", "# nothing\n\n", "no names"},
		{"a header alone", "Rank,Domain\n", "no names"},
		{"a page that says no", "<!DOCTYPE html>\n<html><body>\n<h1>404 Not Found</h1>\n</body></html>\n", "line 1: no domain name"},
		{"one bad line too many", good + "x\ny\n", "2 of 22 lines are bad, more than 1 in 20; line 21: no name in it"},
		{"given up early", strings.Repeat("a b\n", 2*earlyBad), "1001 of 1001"},
	} {
		if _, _, _, err := parse(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want …%s…", tt.name, err, tt.want)
		}
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := read(ctx, strings.NewReader(strings.Repeat("example.org\n", 1<<17)), new(builder)); err != context.Canceled {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"1,example.org\n", "GlobalRank,TldRank,Domain\n1,1,example.org\n", "example.org\r\n", "\xef\xbb\xbf\"1\",\"example.org\"\n", "#,Domain\n1,müller.de",
		"\"\n", "1,\"a\"b,c\n", ",,,,\n", "domain,rank\nexample.org,1\n", "9,a.b\n8,a.b\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var b builder
		r, err := read(context.Background(), strings.NewReader(in), &b)
		if err != nil {
			return
		}
		l := b.build()
		n, last := 0, 0
		for rank, name := range l.top(1 << 30) {
			n++
			if rank < last || rank < 1 {
				t.Fatalf("%s: rank %d after %d", name, rank, last)
			}
			last = rank
			if !isName([]byte(name)) || name != strings.ToLower(name) || r.clean([]byte(name)) == nil {
				t.Fatalf("%q is no name", name)
			}
			if got, _ := l.find(hashOf(name), name); int(got) != rank {
				t.Fatalf("%s: found rank %d, want %d", name, got, rank)
			}
		}
		if n != l.count || n == 0 {
			t.Fatalf("%d names, count %d", n, l.count)
		}
	})
}
