package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/whence-project/whence/enrich/iana/internal/registry"
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

// asTables makes the blocks that IANA assigned to the regional registries, and the numbers of those blocks that another
// registry took over since (early registration transfers): those whose WHOIS server is not that of the block's registry.
func asTables(dir string) ([]table, error) {
	text, err := os.ReadFile(filepath.Join(dir, "rdap", "asn.json"))
	if err != nil {
		return nil, err
	}
	t, blocks, err := registry.ASBlocks(text)
	if err != nil {
		return nil, fmt.Errorf("rdap/asn.json: %w", err)
	}
	var moved []registry.ASRange
	for _, file := range []string{"weppos-asn16.json", "weppos-asn32.json"} {
		h, err := readHosts(dir, file)
		if err != nil {
			return nil, err
		}
		for s, server := range h {
			r, err := registry.ParseASRange(s, " ", registry.RIROf(server.Host))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			moved = append(moved, foreign(r, blocks)...)
		}
	}
	slices.SortFunc(moved, func(a, b registry.ASRange) int { return cmp.Compare(a.First, b.First) })
	return []table{
		{file: "as-rdap.tsv", sources: []string{t.Source()}, columns: "first last registry", rows: t.Rows},
		{
			file: "as-moved.tsv", columns: "first last registry", rows: registry.ASRows(join(moved)),
			comments: []string{"numbers that another registry than the block's answers for, by github.com/weppos/whois (MIT)"},
		},
	}, nil
}

// foreign are the parts of r in blocks of another registry.
func foreign(r registry.ASRange, blocks []registry.ASRange) (parts []registry.ASRange) {
	for _, b := range blocks {
		first, last := max(r.First, b.First), min(r.Last, b.Last)
		if first <= last && r.RIR != "" && r.RIR != b.RIR {
			parts = append(parts, registry.ASRange{First: first, Last: last, RIR: r.RIR})
		}
	}
	return parts
}

// join joins neighbouring ranges of the same registry, in ascending order.
func join(rs []registry.ASRange) (joined []registry.ASRange) {
	for _, r := range rs {
		if n := len(joined) - 1; n >= 0 && joined[n].RIR == r.RIR && r.First <= joined[n].Last+1 {
			joined[n].Last = max(joined[n].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// tldTables makes a row of each top-level domain.
func tldTables(dir string) ([]table, error) {
	tlds, err := readTLDs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "rdap", "dns.json"))
	if err != nil {
		return nil, err
	}
	servers, err := registry.TLDServers(text)
	if err != nil {
		return nil, fmt.Errorf("rdap/dns.json: %w", err)
	}
	whois, err := readHosts(dir, "weppos-tld.json")
	if err != nil {
		return nil, err
	}
	rdap := map[string]string{}
	for _, row := range servers.Rows {
		rdap[row[0]] = row[1]
	}
	updated := whois["_"].Updated
	if len(updated) < len(time.DateOnly) {
		return nil, fmt.Errorf("weppos-tld.json: no date")
	}
	t := table{
		file: "tld.tsv", columns: "tld whois rdap",
		sources: []string{
			tlds.Source(), servers.Source(), "WHOIS servers of github.com/weppos/whois (MIT), " + updated[:len(time.DateOnly)],
		},
	}
	for _, row := range tlds.Rows {
		t.rows = append(t.rows, []string{row[0], whois[row[0]].Host, rdap[row[0]]})
	}
	return []table{t}, nil
}

// readTLDs reads the list of top-level domains, however it is called.
func readTLDs(dir string) (t registry.Table, err error) {
	files, _ := filepath.Glob(filepath.Join(dir, "tlds-alpha*.txt"))
	if len(files) != 1 {
		return t, fmt.Errorf("%d files %s/tlds-alpha*.txt instead of one", len(files), dir)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return t, err
	}
	if t, err = registry.TLDs(filepath.Base(files[0]), text); err != nil {
		return t, fmt.Errorf("%s: %w", files[0], err)
	}
	return t, nil
}
