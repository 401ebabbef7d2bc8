//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

// synthesise makes n names that look like registered domains, all different, the same ones each time.
func synthesise(n int) []string {
	const consonants, vowels = "bcdfghklmnprstvwz", "aeiou"
	tlds := [...]string{"com", "com", "com", "com", "net", "org", "de", "fr", "nl", "io", "co.uk", "com.au"}
	r := rand.New(rand.NewPCG(1, 1))
	names, seen := make([]string, 0, n), make(map[string]bool, n)
	for len(names) < n {
		b := make([]byte, 0, 24)
		for range 2 + r.IntN(4) {
			b = append(b, consonants[r.IntN(len(consonants))], vowels[r.IntN(len(vowels))])
			if r.IntN(3) == 0 {
				b = append(b, consonants[r.IntN(len(consonants))])
			}
		}
		if r.IntN(8) == 0 {
			b = append(b, '-', '0'+byte(r.IntN(10)))
		}
		name := string(b) + "." + tlds[r.IntN(len(tlds))]
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// writeNames writes the names to dir, a name a line and as a list of ranks.
func writeNames(dir string, names []string) (plain, ranks string, err error) {
	plain, ranks = filepath.Join(dir, "names.txt"), filepath.Join(dir, "top.csv")
	for _, f := range []struct {
		path string
		line func(i int, name string) string
	}{
		{plain, func(_ int, name string) string { return name + "\n" }},
		{ranks, func(i int, name string) string { return fmt.Sprintf("%d,%s\n", i+1, name) }},
	} {
		file, err := os.Create(f.path)
		if err != nil {
			return "", "", err
		}
		w := bufio.NewWriter(file)
		for i, name := range names {
			_, _ = w.WriteString(f.line(i, name)) // Flush tells
		}
		if err := w.Flush(); err != nil {
			return "", "", err
		}
		if err := file.Close(); err != nil {
			return "", "", err
		}
	}
	return plain, ranks, nil
}

// fillStore makes a store in dir whose ledger has seen all names.
func fillStore(dir string, names []string) error {
	st, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		return err
	}
	first := time.Now().Add(-24 * time.Hour)
	var all iter.Seq[store.Sighting] = func(yield func(store.Sighting) bool) {
		for _, name := range names {
			if !yield(store.Sighting{Name: name, First: first, Last: first, Count: 1}) {
				return
			}
		}
	}
	added, _, err := st.Ledger().Import(context.Background(), "stats", all)
	if err == nil && added != len(names) {
		err = fmt.Errorf("%d of %d names imported", added, len(names))
	}
	if cerr := st.Close(); err == nil {
		err = cerr
	}
	return err
}
