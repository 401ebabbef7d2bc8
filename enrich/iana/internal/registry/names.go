package registry

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ASRange is a range of AS numbers and the registry it belongs to.
type ASRange struct {
	First, Last uint32
	RIR         string
}

// ParseASRange reads numbers with sep between them, or one.
func ParseASRange(s, sep, rir string) (ASRange, error) {
	first, last, ok := strings.Cut(s, sep)
	if !ok {
		last = first
	}
	lo, err := strconv.ParseUint(first, 10, 32)
	hi, err2 := strconv.ParseUint(last, 10, 32)
	if err != nil || err2 != nil || lo > hi {
		return ASRange{}, fmt.Errorf("%q is no range of AS numbers", s)
	}
	return ASRange{uint32(lo), uint32(hi), rir}, nil
}

// ASBlocks reads asn.json into rows of first, last and registry, and the ranges that they are of: those that IANA assigned to the
// regional registries, in ascending order.
func ASBlocks(text []byte) (Table, []ASRange, error) {
	b, t, err := readBootstrap(text)
	if err != nil {
		return t, nil, err
	}
	var blocks []ASRange
	for _, service := range b.Services {
		rir := RIROf(service[1][0])
		for _, s := range service[0] {
			r, err := ParseASRange(s, "-", rir)
			if err != nil || rir == "" {
				return t, nil, fmt.Errorf("%q of %q: %v", s, service[1], err)
			}
			blocks = append(blocks, r)
		}
	}
	slices.SortFunc(blocks, func(a, b ASRange) int { return cmp.Compare(a.First, b.First) })
	for i, r := range blocks {
		if i > 0 && r.First <= blocks[i-1].Last {
			return t, nil, fmt.Errorf("%d-%d is in two blocks", r.First, min(r.Last, blocks[i-1].Last))
		}
	}
	t.Rows = ASRows(blocks)
	t, err = t.checked()
	return t, blocks, err
}

// ASRows are the rows of ranges.
func ASRows(rs []ASRange) (rows [][]string) {
	for _, r := range rs {
		rows = append(rows, []string{strconv.Itoa(int(r.First)), strconv.Itoa(int(r.Last)), r.RIR})
	}
	return rows
}

var (
	digits = regexp.MustCompile(`\d{8}|\d{4}-\d{2}`)
	label  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// TLDs reads the list of top-level domains into rows of one. Its date is in its first line ("# Version 2026021500, …") or in the name
// of its file.
func TLDs(name string, text []byte) (Table, error) {
	t := Table{Title: "List of top-level domains"}
	date := digits.FindString(name)
	for line := range strings.Lines(string(text)) {
		line = strings.ToLower(strings.TrimSpace(line))
		if version, ok := strings.CutPrefix(line, "#"); ok {
			date = digits.FindString(version)
		} else if label.MatchString(line) {
			t.Rows = append(t.Rows, []string{line})
		} else if line != "" {
			return t, fmt.Errorf("%.80q is no top-level domain", line)
		}
	}
	switch len(date) {
	case len("20260215"):
		t.Date = date[:4] + "-" + date[4:6] + "-" + date[6:]
	case len("2026-02"):
		t.Date = date + "-01"
	default:
		return t, errors.New("no date")
	}
	slices.SortFunc(t.Rows, slices.Compare)
	return t.checked()
}

// TLDServers reads dns.json into rows of a top-level domain and the base URLs of its RDAP servers, with blanks between them: those
// that are HTTPS, or all where none is.
func TLDServers(text []byte) (Table, error) {
	b, t, err := readBootstrap(text)
	if err != nil {
		return t, err
	}
	for _, service := range b.Services {
		for _, raw := range service[1] {
			if u, err := url.Parse(raw); err != nil || u.Host == "" || strings.ContainsFunc(raw, notURL) {
				return t, fmt.Errorf("%q is no URL", raw)
			}
		}
		for _, tld := range service[0] {
			t.Rows = append(t.Rows, []string{strings.ToLower(tld), strings.Join(secure(service[1]), " ")})
		}
	}
	return t.checked()
}

// notURL reports what no URL has as it is.
func notURL(r rune) bool { return r <= ' ' || r >= 0x7f }

// secure are the base URLs that are HTTPS, or all where none is.
func secure(urls []string) []string {
	https := slices.DeleteFunc(slices.Clone(urls), func(u string) bool { return !strings.HasPrefix(u, "https:") })
	if len(https) == 0 {
		return urls
	}
	return https
}
