package bootstrap

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gaissmai/bart"

	"github.com/whence-project/whence/internal/egress"
)

// The files of RFC 9224 §13 and RFC 8521 §3.
const (
	fileDNS = iota
	fileIPv4
	fileIPv6
	fileASN
	fileTags
)

var files = [...]string{fileDNS: "dns.json", fileIPv4: "ipv4.json", fileIPv6: "ipv6.json", fileASN: "asn.json", fileTags: "object-tags.json"}

// registry is a file. It does not change.
type registry struct {
	published time.Time
	records   int                  // entries: suffixes, blocks, ranges, tags
	named     map[string]Services  // by suffix, or by tag
	prefixes  bart.Table[Services] // of the files of addresses
	ranges    []asRange            // of AS numbers, in ascending order
}

type asRange struct {
	first, last uint32
	Services
}

// document is a file as RFC 9224 §3 has it. A service is a list of entries and a list of URLs, with contacts before them among the
// object tags.
type document struct {
	Version     *string      `json:"version"`
	Publication *string      `json:"publication"`
	Services    [][][]string `json:"services"`
}

// parseFile reads a file. It takes all of it or nothing: a file that is partly broken is one whose rest cannot be trusted either.
// The error names the file and what is wrong with it.
func parseFile(file int, body []byte) (*registry, error) {
	r, err := readFile(file, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files[file], err)
	}
	return r, nil
}

func readFile(file int, body []byte) (*registry, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errors.New("the file is empty")
	}
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, fmt.Errorf("no JSON of RFC 9224: %w", err)
	}
	switch {
	case d.Version == nil || !strings.HasPrefix(*d.Version, "1."):
		return nil, errors.New("not of version 1")
	case d.Publication == nil:
		return nil, errors.New("no publication date")
	case len(d.Services) == 0:
		return nil, errors.New("no services")
	}
	r := &registry{}
	var err error
	if r.published, err = time.Parse(time.RFC3339, *d.Publication); err != nil {
		return nil, fmt.Errorf("publication date %.40q", *d.Publication)
	}
	for i, service := range d.Services {
		if err := r.addService(file, service); err != nil {
			return nil, fmt.Errorf("service %d: %w", i+1, err)
		}
	}
	return r, r.sortRanges()
}

func (r *registry) addService(file int, service [][]string) error {
	parts := 2
	if file == fileTags {
		parts = 3
	}
	if len(service) != parts {
		return fmt.Errorf("%d lists instead of %d", len(service), parts)
	}
	entries, urls := service[parts-2], service[parts-1]
	if len(entries) == 0 {
		return errors.New("no entries")
	}
	bases, err := readBases(urls)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.add(file, e, bases); err != nil {
			return err
		}
		r.records++
	}
	return nil
}

// add takes in an entry. Of two that are the same the first counts.
func (r *registry) add(file int, entry string, bases []string) error {
	s := Services{RDAP: bases, Origin: Fetched}
	switch file {
	case fileIPv4, fileIPv6:
		p, err := netip.ParsePrefix(entry)
		if err != nil || p != p.Masked() || p.Addr().Is4() != (file == fileIPv4) {
			return fmt.Errorf("%.60q is no network of this family", entry)
		}
		s.Suffix = p.String()
		if _, twice := r.prefixes.Get(p); !twice {
			r.prefixes.Insert(p, s)
		}
	case fileASN:
		first, last, err := readRange(entry)
		if err != nil {
			return err
		}
		s.Suffix = rangeName(first, last)
		r.ranges = append(r.ranges, asRange{first, last, s})
	case fileTags:
		if entry == "" || len(entry) > 63 || strings.ContainsAny(entry, "- \t\r\n") {
			return fmt.Errorf("%.70q is no tag", entry)
		}
		r.name(strings.ToUpper(entry), s)
	default:
		name, err := egress.ParseHost(strings.TrimSuffix(entry, "."))
		if err == nil {
			_, err = netip.ParseAddr(name)
			if err == nil {
				return fmt.Errorf("%.60q is an address, not a domain", entry)
			}
			r.name(name, s)
			return nil
		}
		return fmt.Errorf("%.260q is no domain", entry)
	}
	return nil
}

func (r *registry) name(entry string, s Services) {
	if r.named == nil {
		r.named = make(map[string]Services)
	}
	if _, twice := r.named[entry]; !twice {
		s.Suffix = entry
		r.named[entry] = s
	}
}

// readRange reads "64496-64511" or "64496".
func readRange(s string) (first, last uint32, err error) {
	low, high, ok := strings.Cut(s, "-")
	if !ok {
		high = low
	}
	a, errA := strconv.ParseUint(low, 10, 32)
	z, errZ := strconv.ParseUint(high, 10, 32)
	if errA != nil || errZ != nil || a > z {
		return 0, 0, fmt.Errorf("%.60q is no range of AS numbers", s)
	}
	return uint32(a), uint32(z), nil
}

func (r *registry) sortRanges() error {
	slices.SortStableFunc(r.ranges, func(a, b asRange) int { return cmp.Compare(a.first, b.first) })
	for i := 1; i < len(r.ranges); i++ {
		if a, b := r.ranges[i-1], r.ranges[i]; b.first <= a.last {
			return fmt.Errorf("the ranges %s and %s overlap", a.Suffix, b.Suffix)
		}
	}
	return nil
}

// findAS is the services of the range that has n.
func findAS(ranges []asRange, n uint32) Services {
	i, _ := slices.BinarySearchFunc(ranges, n, func(r asRange, n uint32) int {
		if r.last < n {
			return -1
		}
		return 1
	})
	if i < len(ranges) && ranges[i].first <= n {
		return ranges[i].Services
	}
	return Services{}
}

// readBases checks the URLs of a service, and puts them in order.
func readBases(urls []string) ([]string, error) {
	if len(urls) == 0 {
		return nil, errors.New("no URLs")
	}
	for _, s := range urls {
		u, err := url.Parse(s)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%.200q is no URL", s)
		case u.Scheme != "https" && u.Scheme != "http":
			return nil, fmt.Errorf("%.200q is not a URL of http or https", s)
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("%.200q is more than a base URL", s)
		}
		if _, err := egress.ParseHost(u.Hostname()); err != nil {
			return nil, fmt.Errorf("%.200q: %w", s, err)
		}
	}
	return inOrder(urls), nil
}

// inOrder is the base URLs that are to be asked, each with its final slash. Where there are URLs of https (RFC 9224 §3), those of
// http are left out: what fails in private is not to be tried again where everybody can read along.
func inOrder(urls []string) (bases []string) {
	for _, scheme := range []string{"https:", "http:"} {
		for _, u := range urls {
			u = strings.TrimRight(u, "/") + "/"
			if len(u) > len(scheme) && strings.EqualFold(u[:len(scheme)], scheme) && !slices.Contains(bases, u) {
				bases = append(bases, u)
			}
		}
		if len(bases) > 0 {
			return slices.Clip(bases)
		}
	}
	return nil
}
