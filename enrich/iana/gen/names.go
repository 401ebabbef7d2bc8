package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hosts is a file of github.com/weppos/whois (MIT): what is looked up, and the WHOIS server that answers for it.
type hosts map[string]struct{ Host, Updated string }

func readHosts(dir, file string) (h hosts, err error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return h, nil
}

func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

// asRange is a range of AS numbers and the registry it belongs to.
type asRange struct {
	first, last uint32
	rir         string
}

func parseASRange(s, sep, rir string) (asRange, error) {
	first, last, ok := strings.Cut(s, sep)
	if !ok {
		last = first
	}
	lo, err := strconv.ParseUint(first, 10, 32)
	hi, err2 := strconv.ParseUint(last, 10, 32)
	if err != nil || err2 != nil || lo > hi {
		return asRange{}, fmt.Errorf("%q is no range of AS numbers", s)
	}
	return asRange{uint32(lo), uint32(hi), rir}, nil
}

func asRows(rs []asRange) (rows [][]string) {
	for _, r := range rs {
		rows = append(rows, []string{strconv.Itoa(int(r.first)), strconv.Itoa(int(r.last)), r.rir})
	}
	return rows
}

// asTables makes the blocks that IANA assigned to the regional registries, and the numbers of those blocks that another
// registry took over since (early registration transfers): those whose WHOIS server is not that of the block's registry.
func asTables(dir string) ([]table, error) {
	b, err := readBootstrap(dir, "asn.json")
	if err != nil {
		return nil, err
	}
	var blocks []asRange
	for _, service := range b.Services {
		rir := rirOf(service[1][0])
		for _, s := range service[0] {
			r, err := parseASRange(s, "-", rir)
			if err != nil || rir == "" {
				return nil, fmt.Errorf("rdap/asn.json: %q of %q: %v", s, service[1], err)
			}
			blocks = append(blocks, r)
		}
	}
	byFirst := func(a, b asRange) int { return cmp.Compare(a.first, b.first) }
	slices.SortFunc(blocks, byFirst)
	var moved []asRange
	for _, file := range []string{"weppos-asn16.json", "weppos-asn32.json"} {
		h, err := readHosts(dir, file)
		if err != nil {
			return nil, err
		}
		for s, server := range h {
			r, err := parseASRange(s, " ", rirOf(server.Host))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			moved = append(moved, foreign(r, blocks)...)
		}
	}
	slices.SortFunc(moved, byFirst)
	return []table{
		{file: "as-rdap.tsv", sources: []source{b.source()}, columns: "first last registry", rows: asRows(blocks)},
		{
			file: "as-moved.tsv", columns: "first last registry", rows: asRows(join(moved)),
			comments: []string{"numbers that another registry than the block's answers for, by github.com/weppos/whois (MIT)"},
		},
	}, nil
}

// foreign are the parts of r in blocks of another registry.
func foreign(r asRange, blocks []asRange) (parts []asRange) {
	for _, b := range blocks {
		first, last := max(r.first, b.first), min(r.last, b.last)
		if first <= last && r.rir != "" && r.rir != b.rir {
			parts = append(parts, asRange{first, last, r.rir})
		}
	}
	return parts
}

// join joins neighbouring ranges of the same registry, in ascending order.
func join(rs []asRange) (joined []asRange) {
	for _, r := range rs {
		if n := len(joined) - 1; n >= 0 && joined[n].rir == r.rir && r.first <= joined[n].last+1 {
			joined[n].last = max(joined[n].last, r.last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

var digits = regexp.MustCompile(`\d{8}|\d{4}-\d{2}`)

// readTLDs reads the list of top-level domains. Its date is in its first line ("# Version 2026021500, …") or in its file's name.
func readTLDs(dir string) (tlds []string, date string, err error) {
	files, _ := filepath.Glob(filepath.Join(dir, "tlds-alpha*.txt"))
	if len(files) != 1 {
		return nil, "", fmt.Errorf("%d files %s/tlds-alpha*.txt instead of one", len(files), dir)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nil, "", err
	}
	date = digits.FindString(filepath.Base(files[0]))
	for line := range strings.Lines(string(text)) {
		line = strings.ToLower(strings.TrimSpace(line))
		if version, ok := strings.CutPrefix(line, "#"); ok {
			date = digits.FindString(version)
		} else if line != "" {
			tlds = append(tlds, line)
		}
	}
	switch len(date) {
	case len("20260215"):
		date = date[:4] + "-" + date[4:6] + "-" + date[6:]
	case len("2026-02"):
		date += "-01"
	default:
		return nil, "", fmt.Errorf("%s: no date", files[0])
	}
	slices.Sort(tlds)
	return tlds, date, nil
}

// tldTables makes a row of each top-level domain.
func tldTables(dir string) ([]table, error) {
	tlds, date, err := readTLDs(dir)
	if err != nil {
		return nil, err
	}
	b, err := readBootstrap(dir, "dns.json")
	if err != nil {
		return nil, err
	}
	servers, err := readHosts(dir, "weppos-tld.json")
	if err != nil {
		return nil, err
	}
	rdap := map[string][]string{}
	for _, service := range b.Services {
		for _, tld := range service[0] {
			rdap[strings.ToLower(tld)] = service[1]
		}
	}
	updated := servers["_"].Updated
	if len(updated) < len(date) {
		return nil, fmt.Errorf("weppos-tld.json: no date")
	}
	t := table{
		file: "tld.tsv", columns: "tld whois rdap",
		sources: []source{
			{"List of top-level domains", date}, b.source(), {"WHOIS servers of github.com/weppos/whois (MIT)", updated[:len(date)]},
		},
	}
	for _, tld := range tlds {
		t.rows = append(t.rows, []string{tld, servers[tld].Host, strings.Join(secure(rdap[tld]), " ")})
	}
	return []table{t}, nil
}

// secure are the base URLs that are HTTPS, or all where none is.
func secure(urls []string) []string {
	https := slices.DeleteFunc(slices.Clone(urls), func(u string) bool { return !strings.HasPrefix(u, "https:") })
	if len(https) == 0 {
		return urls
	}
	return https
}
