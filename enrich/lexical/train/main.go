// Command train makes a table of character pairs in the .freq format. The table that Whence has compiled in was made, from the
// module's root, by
//
//	go run ./enrich/lexical/train -tlds enrich/iana/tables/tld.tsv -out enrich/lexical/default.freq /usr/share/dict/american-english
//
// Without -tlds every line is counted as it is: a table of the names of a network's own is
//
//	go run ./enrich/lexical/train -out own.freq names.txt
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/whence-project/whence/enrich/lexical"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("train: ")
	tlds := flag.String("tlds", "", "list of top-level domains; lines are words, of which names are made")
	out := flag.String("out", "", "the table to write")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		log.Fatal("usage: train -out <table> [-tlds <list>] <file…>")
	}
	if err := run(*out, *tlds, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(out, tldFile string, files []string) error {
	var lines, tlds []string
	for _, name := range files {
		l, err := readLines(name)
		if err != nil {
			return err
		}
		lines = append(lines, l...)
	}
	var t lexical.Trainer
	if tldFile == "" {
		for _, line := range lines {
			t.Add(line, 1)
		}
	} else {
		var err error
		if tlds, err = readLines(tldFile); err != nil {
			return err
		}
		if err := compose(&t, lines, tlds); err != nil {
			return err
		}
	}
	table := t.Append(nil)
	if _, err := lexical.ParseTable(table); err != nil {
		return err
	}
	return os.WriteFile(out, table, 0o644)
}

// readLines is the first fields of a file's lines, without comments.
func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := firstFields(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return lines, nil
}

func firstFields(r io.Reader) (lines []string, err error) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		if fields := strings.Fields(sc.Text()); len(fields) > 0 && fields[0][0] != '#' {
			lines = append(lines, fields[0])
		}
	}
	return lines, sc.Err()
}

// usual are the top-level domains that occur more often than the others, each with how often in a thousand names. In the world
// they are in most names; but then a table would tell .com from other endings more than words from noise.
var usual = []struct {
	tld   string
	share int
}{{"com", 50}, {"net", 8}, {"org", 8}, {"de", 4}, {"uk", 3}, {"ru", 3}, {"io", 2}, {"info", 2}, {"jp", 2}, {"br", 2}, {"fr", 2}, {"it", 2}}

// compose makes names of words as people make them: a word, two words, two with a hyphen, a word and a number, each under a
// top-level domain. Which meet is arbitrary, but always the same.
func compose(t *lexical.Trainer, words, tlds []string) error {
	var plain []string
	for _, w := range words {
		if w = strings.ToLower(w); strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") == "" && len(w) > 1 {
			plain = append(plain, w)
		}
	}
	tlds = slices.DeleteFunc(tlds, func(s string) bool { return strings.HasPrefix(s, "xn--") })
	if len(plain) == 0 || len(tlds) == 0 {
		return errors.New("no words, or no top-level domains")
	}
	state := uint64(1)
	draw := func(n int) int { // xorshift64: the table must come out the same on every machine
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		return int(state >> 33 % uint64(n))
	}
	tld := func() string {
		n := draw(1000)
		for _, u := range usual {
			if n -= u.share; n < 0 {
				return u.tld
			}
		}
		return tlds[draw(len(tlds))]
	}
	for _, w := range plain {
		other := plain[draw(len(plain))]
		t.Add(w+"."+tld(), 4)
		t.Add(w+other+"."+tld(), 4)
		switch draw(4) {
		case 0:
			t.Add(w+"-"+other+"."+tld(), 1)
		case 1:
			t.Add(fmt.Sprint(w, number(draw), ".", tld()), 1)
		case 2:
			t.Add(fmt.Sprint(number(draw), w, ".", tld()), 1)
		}
	}
	return nil
}

// number is a number as names have them: of few digits more often than of many.
func number(draw func(int) int) int {
	limit := 10
	for draw(2) == 0 && limit < 10_000 {
		limit *= 10
	}
	return draw(limit)
}
