// Program whoisparse reads labelled WHOIS replies with whoisreply and prints how much of each field is right. The last lines are
// one a field, over all replies: "field N% (n of m)"; with -peer they are followed by another parser's. See bench/README.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/whence-project/whence/bench/whoisparse/score"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

func main() {
	dir := os.Getenv("WHENCE_TESTDATA")
	if dir == "" {
		dir = "../shared/data"
	}
	data := flag.String("data", filepath.Join(dir, "whois", "responses.jsonl"), "the labelled replies, a JSON object a line")
	tlds := flag.Bool("tld", true, "print the score of each TLD")
	show := flag.String("misses", "", "print what is missed of a `field`, or of all")
	cut := flag.Bool("cut", false, "print the scores of replies that lost their end as well")
	held := flag.Int("held", 0, "with -misses: 1 only the held out TLDs, -1 only the others")
	peer := flag.String("peer", "", "a `program` to score as well, built from peers/likexian")
	flag.Parse()
	err := run(*data, *tlds, *cut, *show, *held)
	if err == nil && *peer != "" {
		err = runPeer(*peer, *data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "whoisparse:", err)
		os.Exit(1)
	}
}

func run(path string, tlds, cut bool, show string, held int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	samples, err := score.Read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	contacts, err := score.ReadContacts()
	if err != nil {
		return err
	}
	all, out, in := score.NewTally(), score.NewTally(), score.NewTally()
	byTLD := map[string]*score.Tally{}
	wrongly, invented := 0, map[string]int{}
	for i := range samples {
		s := &samples[i]
		r := whoisreply.Parse(s.Response, s.Domain())
		part := in
		if s.HeldOut() {
			part = out
		}
		part.Add(s, &r)
		if byTLD[s.TLD] == nil {
			byTLD[s.TLD] = score.NewTally()
		}
		byTLD[s.TLD].Add(s, &r)
		for _, m := range append(all.Add(s, &r), all.AddContacts(contacts, s, &r)...) {
			if (show == m.Field || show == "all") && (held == 0 || (held > 0) == s.HeldOut()) {
				fmt.Printf("%s %s: %s: want %v, got %v\n", s.Set, s.ID, m.Field, m.Want, m.Got)
			}
		}
		if s.Class == "throttled" && r.Class == whoisreply.Available {
			wrongly++
		}
		for field, at := range map[string]time.Time{"created": r.Created, "updated": r.Updated, "expires": r.Expires} {
			if v, ok := s.Expected[field]; ok && v == nil && !at.IsZero() {
				invented[field]++
			}
		}
	}
	if tlds {
		printTLDs(byTLD)
	}
	if cut {
		printCuts(samples)
	}
	fmt.Printf("%d replies, %.1f µs each\n", len(samples), perReply(samples))
	fmt.Printf("dates where the label has none: created %d, updated %d, expires %d\n", invented["created"], invented["updated"], invented["expires"])
	fmt.Printf("throttled taken for available: %d\n", wrongly)
	fmt.Printf("%-22s%10s%10s%10s\n", "", "held out", "others", "all")
	for _, field := range score.Fields {
		fmt.Printf("%-22s%9.1f%%%9.1f%%%9.1f%%\n", field, out.Percent(field), in.Percent(field), all.Percent(field))
	}
	for _, field := range slices.Concat(score.ContactFields, score.Fields) {
		if all.Of[field] > 0 || slices.Contains(score.Fields, field) {
			fmt.Printf("%s %.1f%% (%d of %d)\n", field, all.Percent(field), all.Right[field], all.Of[field])
		}
	}
	return nil
}

func printTLDs(byTLD map[string]*score.Tally) {
	var names []string
	for tld := range byTLD {
		names = append(names, tld)
	}
	slices.Sort(names)
	for _, tld := range names {
		t := byTLD[tld]
		fmt.Printf("%-24s", tld)
		for _, field := range score.Fields {
			if t.Of[field] > 0 {
				fmt.Printf(" %s %d/%d", field, t.Right[field], t.Of[field])
			}
		}
		fmt.Println()
	}
}

// perReply is the mean time of a reply in microseconds, the best of five rounds over all of them.
func perReply(samples []score.Sample) float64 {
	best := time.Duration(1<<63 - 1)
	for range 5 {
		start := time.Now()
		for i := range samples {
			whoisreply.Parse(samples[i].Response, "")
		}
		best = min(best, time.Since(start))
	}
	return float64(best.Nanoseconds()) / 1000 / float64(len(samples))
}
