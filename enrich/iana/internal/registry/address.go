package registry

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// IPv4Space reads ipv4-address-space.xml into rows of block, designation, date, status and registry: one for each /8, and one for
// neighbouring /8s that are reserved for the same, multicast and future use.
func IPv4Space(text []byte) (Table, error) {
	d, err := readXML(text)
	if err != nil {
		return Table{}, err
	}
	t := Table{Title: d.Title, Date: d.Updated}
	var reserved []netip.Prefix // the run of reserved /8s that ends here
	for i, rec := range d.Records {
		octet, ok := strings.CutSuffix(rec.Prefix, "/8")
		n, err := strconv.ParseUint(octet, 10, 8)
		if !ok || err != nil {
			return t, fmt.Errorf("%q is no /8", rec.Prefix)
		}
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n)}), 8)
		if rec.Status != "RESERVED" {
			rir := RIROf(rec.Whois)
			if rir == "" {
				return t, fmt.Errorf("%s is of no regional registry", p)
			}
			t.Rows = append(t.Rows, []string{p.String(), rec.Designation, rec.Date, rec.Status, rir})
			continue
		}
		reserved = append(reserved, p)
		if i+1 == len(d.Records) || d.Records[i+1].Designation != rec.Designation || d.Records[i+1].Status != rec.Status {
			for _, p := range merge(reserved) {
				t.Rows = append(t.Rows, []string{p.String(), rec.Designation, rec.Date, rec.Status, ""})
			}
			reserved = nil
		}
	}
	return t.checked()
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

// IPv6Space reads ipv6-address-space.xml into rows of block, designation and RFCs.
func IPv6Space(text []byte) (Table, error) {
	d, err := readXML(text)
	if err != nil {
		return Table{}, err
	}
	t := Table{Title: d.Title, Date: d.Updated}
	for _, rec := range d.Records {
		p, err := parseBlock(rec.Prefix)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, []string{p.String(), rec.Description, rfcs(rec.Refs)})
	}
	return t.checked()
}

// Special reads one of the special-purpose registries into rows of block, name, RFCs, date, end and reachability. A registered list of
// blocks makes several.
func Special(text []byte) (Table, error) {
	d, err := readXML(text)
	if err != nil {
		return Table{}, err
	}
	t := Table{Title: d.Title, Date: d.Updated}
	for _, rec := range d.Records {
		for _, block := range strings.Split(rec.Address, ",") {
			p, err := parseBlock(block)
			if err != nil {
				return t, err
			}
			name := strings.ReplaceAll(rec.Name, `"`, "")
			reachable := strings.ToLower(strings.TrimSpace(rec.Global))
			t.Rows = append(t.Rows, []string{p.String(), name, rfcs(rec.Spec), rec.Allocation, rec.Termination, reachable})
		}
	}
	return t.checked()
}

// IPv6Blocks reads ipv6.json into rows of block and registry: the blocks that IANA allocated to regional registries.
func IPv6Blocks(text []byte) (Table, error) {
	b, t, err := readBootstrap(text)
	if err != nil {
		return t, err
	}
	byBlock := map[netip.Prefix]string{}
	for _, service := range b.Services {
		for _, block := range service[0] {
			p, err := parseBlock(block)
			rir := RIROf(service[1][0])
			if err != nil || rir == "" {
				return t, fmt.Errorf("block %q of %q", block, service[1])
			}
			byBlock[p] = rir
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(byBlock), netip.Prefix.Compare) {
		t.Rows = append(t.Rows, []string{p.String(), byBlock[p]})
	}
	return t.checked()
}

func parseBlock(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(strings.TrimSpace(s))
	return p.Masked(), err
}
