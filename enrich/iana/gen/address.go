package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// registry is what the XML of the address registries has in common. The special-purpose ones and IPv6's nest the records in a
// registry of the same name.
type registry struct {
	Title   string     `xml:"title"`
	Updated string     `xml:"updated"`
	Records []record   `xml:"record"`
	Inner   []registry `xml:"registry"`
}

type record struct {
	Prefix      string `xml:"prefix"`
	Designation string `xml:"designation"`
	Description string `xml:"description"`
	Date        string `xml:"date"`
	Whois       string `xml:"whois"`
	Status      string `xml:"status"`
	Address     string `xml:"address"`
	Name        string `xml:"name"`
	Allocation  string `xml:"allocation"`
	Termination string `xml:"termination"`
	Global      string `xml:"global"`
	Refs        []xref `xml:"xref"`
	Spec        []xref `xml:"spec>xref"`
}

type xref struct {
	Type string `xml:"type,attr"`
	Data string `xml:"data,attr"`
}

func readXML(dir, file string) (r registry, err error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return r, err
	}
	if err := xml.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	for _, in := range r.Inner {
		r.Records = append(r.Records, in.Records...)
	}
	if len(r.Records) == 0 || r.Updated == "" {
		return r, fmt.Errorf("%s: no records or no date", file)
	}
	return r, nil
}

func addressTables(dir string) (tables []table, err error) {
	for _, tableOf := range []func(string) (table, error){ipv4Space, ipv6Space, ipv6Blocks} {
		t, err := tableOf(dir)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	for _, version := range []string{"ipv4", "ipv6"} {
		t, err := special(dir, version)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// ipv4Space makes a row of each /8, and one of neighbouring /8s that are reserved for the same: multicast and future use.
func ipv4Space(dir string) (table, error) {
	r, err := readXML(dir, "ipv4-address-space.xml")
	t := table{file: "ipv4-address-space.tsv", columns: "block designation date status registry", sources: []source{{r.Title, r.Updated}}}
	if err != nil {
		return t, err
	}
	var reserved []netip.Prefix // the run of reserved /8s that ends here
	flush := func(like record) {
		for _, p := range merge(reserved) {
			t.rows = append(t.rows, []string{p.String(), like.Designation, like.Date, like.Status, ""})
		}
		reserved = nil
	}
	for i, rec := range r.Records {
		octet, ok := strings.CutSuffix(rec.Prefix, "/8")
		n, err := strconv.ParseUint(octet, 10, 8)
		if !ok || err != nil {
			return t, fmt.Errorf("ipv4-address-space.xml: %q is no /8", rec.Prefix)
		}
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n)}), 8)
		if rec.Status != "RESERVED" {
			t.rows = append(t.rows, []string{p.String(), rec.Designation, rec.Date, rec.Status, rirOf(rec.Whois)})
			continue
		}
		reserved = append(reserved, p)
		if i+1 == len(r.Records) || r.Records[i+1].Designation != rec.Designation || r.Records[i+1].Status != rec.Status {
			flush(rec)
		}
	}
	return t, nil
}

// merge joins neighbouring prefixes, in ascending order, into as few as cover the same addresses.
func merge(ps []netip.Prefix) []netip.Prefix {
	for i := 0; i+1 < len(ps); {
		a, b := ps[i], ps[i+1]
		up := netip.PrefixFrom(a.Addr(), a.Bits()-1)
		if a.Bits() != b.Bits() || up.Masked() != up || !up.Contains(b.Addr()) {
			i++
			continue
		}
		ps = slices.Replace(ps, i, i+2, up)
		i = 0
	}
	return ps
}

func ipv6Space(dir string) (table, error) {
	r, err := readXML(dir, "ipv6-address-space.xml")
	t := table{file: "ipv6-address-space.tsv", columns: "block designation rfc", sources: []source{{r.Title, r.Updated}}}
	for _, rec := range r.Records {
		p, err := netip.ParsePrefix(strings.TrimSpace(rec.Prefix))
		if err != nil {
			return t, fmt.Errorf("ipv6-address-space.xml: %w", err)
		}
		t.rows = append(t.rows, []string{p.String(), rec.Description, rfcs(rec.Refs)})
	}
	return t, err
}

// special makes a row of each special-purpose block. A registered list of blocks makes several.
func special(dir, version string) (table, error) {
	file := "iana-" + version + "-special-registry.xml"
	r, err := readXML(dir, file)
	t := table{file: version + "-special.tsv", columns: "block name rfc date end reachable", sources: []source{{r.Title, r.Updated}}}
	for _, rec := range r.Records {
		for _, block := range strings.Split(rec.Address, ",") {
			p, err := netip.ParsePrefix(strings.TrimSpace(block))
			if err != nil {
				return t, fmt.Errorf("%s: %w", file, err)
			}
			name := strings.ReplaceAll(rec.Name, `"`, "")
			reachable := strings.ToLower(strings.TrimSpace(rec.Global))
			t.rows = append(t.rows, []string{p.String(), name, rfcs(rec.Spec), rec.Allocation, rec.Termination, reachable})
		}
	}
	return t, err
}

// rfcs are the numbers of the RFCs among the references, joined by commas.
func rfcs(refs []xref) string {
	var ns []string
	for _, x := range refs {
		if n, ok := strings.CutPrefix(x.Data, "rfc"); ok && x.Type == "rfc" {
			ns = append(ns, n)
		}
	}
	return strings.Join(ns, ",")
}

// bootstrap is an RDAP bootstrap file (RFC 9224 §3): pairs of keys and base URLs.
type bootstrap struct {
	Description string        `json:"description"`
	Publication string        `json:"publication"`
	Services    [][2][]string `json:"services"`
}

func (b bootstrap) source() source {
	return source{strings.TrimSpace(b.Description), b.Publication[:10]}
}

func readBootstrap(dir, file string) (b bootstrap, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "rdap", file))
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("rdap/%s: %w", file, err)
	}
	if len(b.Services) == 0 || len(b.Publication) < 10 {
		return b, fmt.Errorf("rdap/%s: no services or no date", file)
	}
	return b, nil
}

// ipv6Blocks makes a row of each block that IANA allocated to a regional registry.
func ipv6Blocks(dir string) (table, error) {
	b, err := readBootstrap(dir, "ipv6.json")
	if err != nil {
		return table{}, err
	}
	t := table{file: "ipv6-rdap.tsv", columns: "block registry", sources: []source{b.source()}}
	byBlock := map[netip.Prefix]string{}
	for _, service := range b.Services {
		for _, block := range service[0] {
			p, err := netip.ParsePrefix(block)
			rir := rirOf(service[1][0])
			if err != nil || rir == "" {
				return t, fmt.Errorf("rdap/ipv6.json: block %q of %q", block, service[1])
			}
			byBlock[p] = rir
		}
	}
	for _, p := range sorted(byBlock, netip.Prefix.Compare) {
		t.rows = append(t.rows, []string{p.String(), byBlock[p]})
	}
	return t, nil
}
