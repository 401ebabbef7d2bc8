//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// freeOf is which part of the names nobody has registered: one of so many.
const freeOf = 20

// synthesise makes n names, all different, the same ones each time: the registries of a kind take turns.
func synthesise(kind string, n, registries int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = label(i) + "." + tld(kind, i%registries)
	}
	return names
}

// label is the beginning of the i-th name. They are scattered, as names are.
func label(i int) string {
	s := "n" + strconv.FormatUint(uint64(i+1)*0x9e3779b97f4a7c15, 36)
	if i%freeOf == freeOf-1 {
		return "free-" + s
	}
	return s
}

// writeRanks writes the names as a list of ranks.
func writeRanks(path string, names []string) error {
	var b strings.Builder
	for i, name := range names {
		fmt.Fprintf(&b, "%d,%s\n", i+1, name)
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}
