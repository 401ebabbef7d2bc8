package main

import (
	"fmt"
	"strings"

	"github.com/whence-project/whence/bench/whoisparse/score"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// cuts are how the ends of replies get lost: some bytes, or half of the last line.
var cuts = []struct {
	name string
	left func(text string) int
}{
	{"whole", func(text string) int { return len(text) }},
	{"1 byte", func(text string) int { return len(text) - 1 }},
	{"2 bytes", func(text string) int { return len(text) - 2 }},
	{"3 bytes", func(text string) int { return len(text) - 3 }},
	{"5 bytes", func(text string) int { return len(text) - 5 }},
	{"8 bytes", func(text string) int { return len(text) - 8 }},
	{"half a line", func(text string) int {
		start := strings.LastIndexByte(text, '\n') + 1
		return start + (len(text)-start)/2
	}},
}

// dresses are how the lines that are left are written.
var dresses = []struct {
	name string
	do   func(text string) string
}{
	{"", func(text string) string { return text }},
	{"CRLF", func(text string) string { return strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", "\r\n") }},
	{"LF", func(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }},
	{"spaces", func(text string) string { return strings.ReplaceAll(text, "\n", "  \n") }},
}

// printCuts scores every reply with its end cut off: the bytes are counted from the last one that is not white space, so that what is
// lost is always something that was said.
func printCuts(samples []score.Sample) {
	fmt.Printf("%-20s", "cut off")
	for _, field := range score.Fields {
		fmt.Printf(" %10.10s", field)
	}
	fmt.Println()
	for _, dress := range dresses {
		for _, cut := range cuts {
			tally := score.NewTally()
			for i := range samples {
				s := &samples[i]
				text := strings.TrimRight(s.Response, " \t\r\n")
				r := whoisreply.Parse(dress.do(text[:max(0, cut.left(text))]), s.Domain())
				tally.Add(s, &r)
			}
			fmt.Printf("%-20s", strings.TrimPrefix(dress.name+", "+cut.name, ", "))
			for _, field := range score.Fields {
				fmt.Printf(" %10.1f", tally.Percent(field))
			}
			fmt.Println()
		}
	}
}
