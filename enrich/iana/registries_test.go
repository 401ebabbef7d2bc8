package iana

import (
	"encoding/json"
	"encoding/xml"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

// The tests of this file hold the tables against the registries they were made from, record by record.

type xmlRecord struct {
	Prefix      string   `xml:"prefix"`
	Designation string   `xml:"designation"`
	Description string   `xml:"description"`
	Date        string   `xml:"date"`
	Whois       string   `xml:"whois"`
	Status      string   `xml:"status"`
	RDAP        []string `xml:"rdap>server"`
	Address     string   `xml:"address"`
	Name        string   `xml:"name"`
	Allocation  string   `xml:"allocation"`
	Termination string   `xml:"termination"`
	Global      string   `xml:"global"`
	Spec        []struct {
		Data string `xml:"data,attr"`
	} `xml:"spec>xref"`
}

// xmlRecords are the records of a registry, however deep it nests them.
func xmlRecords(t *testing.T, file string) (records []xmlRecord) {
	t.Helper()
	f, err := os.Open(testenv.Path(t, "iana", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if token == nil {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "record" {
			var r xmlRecord
			if err := d.DecodeElement(&r, &start); err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
		}
	}
	if len(records) < 20 {
		t.Fatalf("%s: %d records", file, len(records))
	}
	return records
}

func TestIPv4AddressSpace(t *testing.T) {
	for _, rec := range xmlRecords(t, "ipv4-address-space.xml") {
		octet, err := strconv.Atoi(strings.TrimSuffix(rec.Prefix, "/8"))
		if err != nil {
			t.Fatal(err)
		}
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(octet)}), 8)
		b, ok := Load().Prefix(p)
		if !ok || b.Status != rec.Status && b.Purpose == "" {
			t.Errorf("%s: %+v, want %+v", p, b, rec)
			continue
		}
		if b.Status != "" && b.Designation != rec.Designation {
			t.Errorf("%s: designation %q, want %q", p, b.Designation, rec.Designation)
		}
		if rec.Status == Reserved {
			if !b.Special || b.Registry != nil {
				t.Errorf("%s is reserved: %+v", p, b)
			}
			continue
		}
		if b.Prefix != p || b.Date != rec.Date || b.Registry == nil || b.Registry.Whois != rec.Whois || b.Special {
			t.Errorf("%s: %+v, want %+v", p, b, rec)
			continue
		}
		if !slices.Contains(slashed(rec.RDAP), b.Registry.RDAP) {
			t.Errorf("%s: RDAP %s, want one of %s", p, b.Registry.RDAP, rec.RDAP)
		}
		if b.Status == Legacy && !strings.Contains(b.Meaning, b.Registry.Name) {
			t.Errorf("%s: legacy, and its meaning is %q", p, b.Meaning)
		}
	}
}

// slashed are base URLs as RFC 9224 has them, with a slash at the end.
func slashed(urls []string) (all []string) {
	for _, u := range urls {
		all = append(all, strings.TrimSuffix(u, "/")+"/")
	}
	return all
}

func TestIPv6AddressSpace(t *testing.T) {
	for _, rec := range xmlRecords(t, "ipv6-address-space.xml") {
		b, ok := Load().Prefix(netip.MustParsePrefix(rec.Prefix))
		if !ok || b.Prefix.String() != netip.MustParsePrefix(rec.Prefix).String() || b.Designation != rec.Description {
			t.Errorf("%s: %+v, want %+v", rec.Prefix, b, rec)
		}
		if b.Special != (rec.Description != "Global Unicast") {
			t.Errorf("%s, %s: special is %t", rec.Prefix, rec.Description, b.Special)
		}
	}
}

func TestSpecialRegistries(t *testing.T) {
	for _, file := range []string{"iana-ipv4-special-registry.xml", "iana-ipv6-special-registry.xml"} {
		for _, rec := range xmlRecords(t, file) {
			for _, block := range strings.Split(rec.Address, ",") {
				specialRecord(t, strings.TrimSpace(block), rec)
			}
		}
	}
}

func specialRecord(t *testing.T, block string, rec xmlRecord) {
	t.Helper()
	p := netip.MustParsePrefix(block)
	b, ok := Load().Prefix(p)
	global := strings.ToLower(strings.TrimSpace(rec.Global))
	switch {
	case !ok || b.Prefix != p:
		t.Errorf("%s: found %+v, %t", p, b, ok)
	case b.Purpose != strings.ReplaceAll(rec.Name, `"`, "") || b.Date != rec.Allocation || b.Ended != rec.Termination:
		t.Errorf("%s: %+v, want %+v", p, b, rec)
	case b.Reachable != global || global == "false" && !b.Special || (global == "true" || global == "n/a") && b.Special:
		t.Errorf("%s: reachable %q, special %t, want %q", p, b.Reachable, b.Special, global)
	case b.Meaning == "":
		t.Errorf("%s: no meaning in tables/meaning.tsv", p)
	}
	for _, x := range rec.Spec {
		if n, ok := strings.CutPrefix(x.Data, "rfc"); ok && !slices.Contains(b.RFC, "RFC "+n) {
			t.Errorf("%s: %s, want RFC %s", p, b.RFC, n)
		}
	}
}

type bootstrap struct {
	Services [][2][]string `json:"services"`
}

func readJSON(t *testing.T, v any, elem ...string) {
	t.Helper()
	text, err := os.ReadFile(testenv.Path(t, append([]string{"iana"}, elem...)...))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestBootstrapAddresses(t *testing.T) {
	for _, file := range []string{"ipv4.json", "ipv6.json"} {
		var b bootstrap
		readJSON(t, &b, "rdap", file)
		n := 0
		for _, service := range b.Services {
			for _, block := range service[0] {
				n++
				p := netip.MustParsePrefix(block)
				b, ok := Load().Prefix(p)
				if !ok || b.Prefix != p || b.Registry == nil || !slices.Contains(service[1], b.Registry.RDAP) {
					t.Errorf("%s: %+v, want %s", p, b, service[1])
				}
			}
		}
		if n < 30 {
			t.Errorf("%s has %d blocks", file, n)
		}
	}
}

func TestBootstrapAS(t *testing.T) {
	var b bootstrap
	readJSON(t, &b, "rdap", "asn.json")
	n := 0
	for _, service := range b.Services {
		for _, block := range service[0] {
			n++
			first, last, ok := strings.Cut(block, "-")
			if !ok {
				last = first
			}
			for _, number := range []uint32{asNumber(first), asNumber(last)} {
				r, ok := Load().AS(number)
				if !ok || r.First != asNumber(first) || r.Last != asNumber(last) || !slices.Contains(service[1], r.Assignee.RDAP) ||
					!slices.ContainsFunc(r.RDAP(), func(u string) bool { return slices.Contains(service[1], u) }) {
					t.Errorf("AS%d: %+v, want %s of %s", number, r, block, service[1])
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("%d blocks", n)
	}
}

func TestASWhois(t *testing.T) {
	for _, file := range []string{"weppos-asn16.json", "weppos-asn32.json"} {
		var servers map[string]struct{ Host string }
		readJSON(t, &servers, file)
		for block, server := range servers {
			first, last, ok := strings.Cut(block, " ")
			if !ok {
				last = first
			}
			for _, number := range []uint32{asNumber(first), asNumber(last)} {
				r, _ := Load().AS(number)
				if server.Host == "" && !r.Special || server.Host != "" && (r.Registry == nil || r.Registry.Whois != server.Host) {
					t.Errorf("AS%d: %+v, want %s", number, r, server.Host)
				}
			}
		}
		if len(servers) < 10 {
			t.Errorf("%s has %d blocks", file, len(servers))
		}
	}
}

func TestTLDs(t *testing.T) {
	var b bootstrap
	readJSON(t, &b, "rdap", "dns.json")
	var servers map[string]struct{ Host string }
	readJSON(t, &servers, "weppos-tld.json")
	files, err := filepath.Glob(filepath.Join(testenv.Path(t, "iana"), "tlds-alpha*.txt"))
	if err != nil || len(files) != 1 {
		t.Fatalf("lists of top-level domains: %q, %v", files, err)
	}
	list, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(strings.ToLower(string(list))) {
		if name := strings.TrimSpace(line); name != "" && name[0] != '#' {
			listed = append(listed, name)
		}
	}
	rdap := map[string][]string{}
	for _, service := range b.Services {
		for _, name := range service[0] {
			rdap[name] = service[1]
			if _, ok := Load().TLD(name); ok != slices.Contains(listed, name) {
				t.Errorf("%s, with RDAP, is listed: %t; in the table: %t", name, !ok, ok)
			}
		}
	}
	for _, name := range listed {
		d, ok := Load().TLD(name)
		if !ok || d.Special || d.Whois != servers[name].Host || !slices.Equal(d.RDAP, rdap[name]) {
			t.Errorf("%s: %+v, want %s and %s", name, d, servers[name].Host, rdap[name])
		}
	}
	if len(listed) < 1400 || len(rdap) < 1000 {
		t.Errorf("%d listed, %d with RDAP", len(listed), len(rdap))
	}
}

// Rows kept by hand must be dropped when the registry gets them, or the two could differ.
func TestAdditionsAreAdditions(t *testing.T) {
	names := map[string]string{}
	for _, file := range []string{"ipv4-special.tsv", "ipv6-special.tsv", "special-more.tsv"} {
		text, err := files.ReadFile("tables/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			block, _, _ := strings.Cut(line, "\t")
			if strings.HasPrefix(line, "#") {
				continue
			}
			if names[block] != "" {
				t.Errorf("%s is in %s and in %s", block, names[block], file)
			}
			names[block] = file
		}
	}
}

// Every address and every AS number has an answer.
func TestNoGaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		var a16 [16]byte
		for i := range a16 {
			a16[i] = byte(random.Uint32())
		}
		for _, a := range []netip.Addr{netip.AddrFrom16(a16), netip.AddrFrom4([4]byte(a16[:4]))} {
			b, ok := Load().Address(a)
			if !ok || !b.Prefix.Contains(a.Unmap()) {
				t.Fatalf("%s: %+v, %t", a, b, ok)
			}
		}
		n := random.Uint32() >> (random.Uint32() % 32)
		if r, ok := Load().AS(n); n < r.First || n > r.Last || ok != (r.Registry != nil || r.Purpose != "") {
			t.Fatalf("AS%d: %+v, %t", n, r, ok)
		}
	}
}

func TestASRangesAscend(t *testing.T) {
	for name, ranges := range map[string][]asRange{"all": Load().as, "special": Load().asSpecial, "moved": Load().asMoved} {
		for i := 1; i < len(ranges); i++ {
			if ranges[i].First <= ranges[i-1].Last || ranges[i].First > ranges[i].Last {
				t.Errorf("%s: AS%d-AS%d follows AS%d", name, ranges[i].First, ranges[i].Last, ranges[i-1].Last)
			}
		}
	}
}

func FuzzTLD(f *testing.F) {
	for _, s := range []string{"example.org", "", ".", "a..b.", "xn--p1ai", "\xff.\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if d, ok := Load().TLD(name); ok && d.Name == "" {
			t.Errorf("%q: a TLD without a name", name)
		}
		if f := Load().tldFragment(name); f == nil || len(f.Fields()) < 2 {
			t.Errorf("%q: fragment %v", name, f)
		}
	})
}
