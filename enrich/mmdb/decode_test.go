package mmdb

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

// text is a fragment's fields, one a line: an array of one key as k: a|b, numbers with #, booleans with ?.
func text(f *enrich.Fragment) string {
	var b strings.Builder
	fields := f.Fields()
	for i, fd := range fields {
		if fd.List && i > 0 && fields[i-1].List && fields[i-1].Key == fd.Key {
			b.WriteString("|" + fd.Value)
			continue
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(fd.Key + [...]string{": ", "# ", "? "}[fd.Type] + fd.Value)
	}
	return b.String()
}

// canon is a fragment's canonical fields, each key=value.
func canon(f *enrich.Fragment) string {
	var vs []string
	for _, k := range enrich.Keys() {
		if v := f.Value(k); v != "" {
			vs = append(vs, k.String()+"="+v)
		}
	}
	return strings.Join(vs, " ")
}

// ask loads a database and asks it for one address.
func ask(t *testing.T, path, addr string, languages []string) (*enrich.Fragment, netip.Prefix) {
	t.Helper()
	db, err := load(context.Background(), path, limits{maxFile: DefaultMaxFile, languages: languages})
	if err != nil {
		t.Fatal(err)
	}
	record, network := db.tree.lookup(netip.MustParseAddr(addr))
	if record < 0 {
		t.Fatalf("%s has nothing about %s", path, addr)
	}
	return db.build(record), network
}

func TestSchemas(t *testing.T) {
	for _, tt := range []struct {
		file, addr string
		network    string
		canon      string
	}{
		{"mmdb/lite-composite.mmdb", "8.8.8.8", "8.8.8.0/24",
			"asn=AS15169 as_name=Google LLC as_domain=google.com country_code=US country=United States" +
				" continent_code=NA continent=North America"},
		{"mmdb/ipinfo-lite-sample/ipinfo_lite_sample.mmdb", "1.0.0.1", "1.0.0.0/24",
			"asn=AS13335 as_name=Cloudflare, Inc. as_domain=cloudflare.com country_code=AU country=Australia" +
				" continent_code=OC continent=Oceania"},
		{"mmdb/ipinfo-lite-sample/ipinfo_lite_sample.mmdb", "1.0.1.1", "1.0.1.0/24",
			"country_code=CN country=China continent_code=AS continent=Asia"},
		{"mmdb/dbip-asn-lite.mmdb", "1.0.0.1", "1.0.0.0/24", "asn=AS13335 as_name=Cloudflare, Inc."},
		{"mmdb/dbip-country-lite.mmdb", "1.0.0.1", "1.0.0.0/24",
			"country_code=AU country=Australia continent_code=OC continent=Oceania"},
		{"mmdb/asn-country.mmdb", "1.0.0.1", "1.0.0.0/24", "country_code=AU"},
		{"mmdb/asn-country-ipv4only.mmdb", "1.0.0.1", "1.0.0.0/24", "country_code=AU"},
		{"mmdb-maxmind/test-data/GeoLite2-ASN-Test.mmdb", "1.128.0.1", "1.128.0.0/11", "asn=AS1221 as_name=Telstra Pty Ltd"},
		{"mmdb-maxmind/test-data/GeoLite2-City-Test.mmdb", "2.125.160.217", "2.125.160.216/29",
			"country_code=GB country=United Kingdom continent_code=EU continent=Europe"}, // registered in France
		{"mmdb-maxmind/test-data/GeoLite2-Country-Test.mmdb", "2001:218::1", "2001:218::/32",
			"country_code=JP country=Japan continent_code=AS continent=Asia"},
		{"mmdb-maxmind/test-data/GeoIP2-Enterprise-Test.mmdb", "74.209.24.1", "74.209.16.0/20",
			"asn=AS14671 as_name=FairPoint Communications country_code=US country=United States" +
				" continent_code=NA continent=North America"},
		{"mmdb-maxmind/test-data/GeoIP2-Domain-Test.mmdb", "1.2.0.1", "1.2.0.0/16", ""}, // no AS, so not the AS's domain
		{"mmdb-maxmind/test-data/MaxMind-DB-no-ipv4-search-tree.mmdb", "8.8.8.8", "0.0.0.0/0", ""},
	} {
		t.Run(tt.file+"/"+tt.addr, func(t *testing.T) {
			f, network := ask(t, testenv.Path(t, strings.Split(tt.file, "/")...), tt.addr, []string{"en"})
			if network.String() != tt.network {
				t.Errorf("network %v, want %s", network, tt.network)
			}
			if got := canon(f); got != tt.canon {
				t.Errorf("canonical fields\n%s, want\n%s", got, tt.canon)
			}
		})
	}
}

func TestFlattening(t *testing.T) {
	names := object{{"de", "Schweiz"}, {"en", "Switzerland"}, {"pt-BR", "Suíça"}}
	for _, tt := range []struct {
		name      string
		record    any
		languages []string
		text      string
		canon     string
	}{
		{"IPinfo Lite, in the file's order, empty values and all",
			object{{"as_domain", ""}, {"as_name", "Example"}, {"asn", "AS64500"}, {"country", "Germany"}, {"country_code", "DE"}}, nil,
			"as_domain: \nas_name: Example\nasn: AS64500\ncountry: Germany\ncountry_code: DE",
			"asn=AS64500 as_name=Example country_code=DE country=Germany"},
		{"codes under the keys of names", object{{"country", "de"}, {"country_name", "Germany"}, {"continent", "EU"}}, nil,
			"country: de\ncountry_name: Germany\ncontinent: EU", "country_code=DE country=Germany continent_code=EU"},
		{"no country", object{{"country_code", "--"}, {"continent_code", "XX"}, {"country", ""}}, nil,
			"country_code: --\ncontinent_code: XX\ncountry: ", ""},
		{"AS number as a number, name and domain beside it",
			object{{"name", "EXAMPLE"}, {"org", "Example Ltd"}, {"domain", "example.org"}, {"asn", 64500}}, nil,
			"name: EXAMPLE\norg: Example Ltd\ndomain: example.org\nasn# 64500",
			"asn=AS64500 as_name=EXAMPLE as_domain=example.org"},
		{"name and domain of something else", object{{"name", "x"}, {"domain", "example.org"}, {"asn", "AS0"}}, nil,
			"name: x\ndomain: example.org\nasn: AS0", ""},
		{"the better key wins, wherever it stands",
			object{{"traits", object{{"autonomous_system_number", 1}}}, {"country", object{{"iso_code", "CH"}}},
				{"autonomous_system_number", 2}, {"country_code", "li"}}, nil,
			"traits_autonomous_system_number# 1\ncountry_iso_code: CH\nautonomous_system_number# 2\ncountry_code: li",
			"asn=AS2 country_code=LI"},
		{"English by default", object{{"country", object{{"names", names}}}}, []string{"en"},
			"country_names_en: Switzerland", "country=Switzerland"},
		{"other languages; the canonical name is English", object{{"country", object{{"names", names}}}}, []string{"pt-BR", "de"},
			"country_names_de: Schweiz\ncountry_names_pt_br: Suíça", "country=Switzerland"},
		{"no wanted language", object{{"names", names}}, []string{"ja"}, "names_de: Schweiz", ""},
		{"all languages", object{{"names", names}}, nil, "names_de: Schweiz\nnames_en: Switzerland\nnames_pt_br: Suíça", ""},
		{"names that are not by language", object{{"names", object{{"short", "a"}, {"en", "b"}}}}, []string{"en"},
			"names_short: a\nnames_en: b", ""},
		{"arrays", object{{"tags", []any{"a", "b"}}, {"none", []any{}}, {"one", []any{1}},
			{"places", []any{object{{"id", 1}}, object{{"id", 2}}}}, {"grid", []any{[]any{1, 2}, []any{3}}}}, nil,
			"tags: a|b\none# 1\nplaces_0_id# 1\nplaces_1_id# 2\ngrid_0# 1|2\ngrid_1# 3", ""},
		{"keys in snake_case", object{{"countryCode", "DE"}, {"zip-code", "1"}, {"IP", "x"}, {"", "y"}, {"Größe", "z"}}, nil,
			"country_code: DE\nzip_code: 1\nip: x\nvalue: y\ngröße: z", "country_code=DE"},
		{"keys that meet", object{{"a_b", "1"}, {"a", object{{"b", "2"}}}, {"a-b", "3"}, {"a_b_2", "4"}}, nil,
			"a_b: 1\na_b_2: 2\na_b_3: 3\na_b_2_2: 4", ""},
		{"numbers", object{{"f", 0.1}, {"g", 1e300}, {"i", 12}, {"n", math.NaN()}, {"t", true}, {"b", []byte{0, 255}}}, nil,
			"f# 0.1\ng# 1e+300\ni# 12\nn: NaN\nt? true\nb: 00ff", ""},
		{"control characters", object{{"k\r\ney", "a\r\nb\x1b[m"}}, nil, "k__ey: a b[m", ""},
		{"no map", "plain", nil, "value: plain", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := ask(t, writeFile(t, "a.mmdb", write("Test", 4, network{"10.0.0.0/8", tt.record})), "10.1.1.1", tt.languages)
			if got := text(f); got != tt.text {
				t.Errorf("fields\n%s\nwant\n%s", got, tt.text)
			}
			if got := canon(f); got != tt.canon {
				t.Errorf("canonical %s, want %s", got, tt.canon)
			}
		})
	}
}

// Every type that the format has, as MaxMind's own test database has them.
func TestTypes(t *testing.T) {
	const want = `array# 1|2|3
boolean? true
bytes: 0000002a
double# 42.123456
float# 1.1
int32# -268435456
map_map_x_array_x# 7|8|9
map_map_x_utf8_string_x: hello
uint128# 1329227995784915872903807060280344576
uint16# 100
uint32# 268435456
uint64# 1152921504606846976
utf8_string: unicode! ☯ - ♫`
	f, _ := ask(t, testenv.Path(t, "mmdb-maxmind", "test-data", "MaxMind-DB-test-decoder.mmdb"), "1.1.1.1", nil)
	if got := text(f); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestCityInAllLanguages(t *testing.T) {
	path := testenv.Path(t, "mmdb-maxmind", "test-data", "GeoLite2-City-Test.mmdb")
	en, _ := ask(t, path, "2.125.160.217", []string{"en"})
	all, _ := ask(t, path, "2.125.160.217", nil)
	keys := func(f *enrich.Fragment) (ks []string) {
		for _, fd := range f.Fields() {
			ks = append(ks, fd.Key)
		}
		return ks
	}
	for _, k := range []string{"subdivisions_0_iso_code", "subdivisions_1_names_en", "location_time_zone", "registered_country_iso_code"} {
		if !slices.Contains(keys(en), k) {
			t.Errorf("no %s among %v", k, keys(en))
		}
	}
	if slices.Contains(keys(en), "country_names_de") || !slices.Contains(keys(all), "country_names_zh_cn") {
		t.Errorf("languages: %d fields in English, %d in all: %v", len(keys(en)), len(keys(all)), keys(all))
	}
}

func TestAttribution(t *testing.T) {
	for file, want := range map[string]string{
		"mmdb/ipinfo-lite-sample/ipinfo_lite_sample.mmdb": "https://ipinfo.io",
		"mmdb/dbip-asn-lite.mmdb":                         "https://db-ip.com", // whose type says "compat=GeoLite2-ASN"
		"mmdb-maxmind/test-data/GeoLite2-ASN-Test.mmdb":   "https://www.maxmind.com",
		"mmdb/asn-country.mmdb":                           "",
	} {
		db, err := load(context.Background(), testenv.Path(t, strings.Split(file, "/")...), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got := db.origin.Attribution; !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: attribution %q, want %q in it", file, got, want)
		}
		if db.origin.Name != file[strings.LastIndexByte(file, '/')+1:] || db.origin.Built.Year() < 2015 {
			t.Errorf("%s: origin %+v", file, db.origin)
		}
	}
	m := maxminddb.Metadata{DatabaseType: "composite", Description: map[string]string{"en": "Made of data. Not an IPinfo product."}}
	if got := termsOf(&m); got.Attribution != "" {
		t.Errorf("%q for a database that only mentions IPinfo", got)
	}
}

// An AS is described by what most of its networks carry.
func TestSystems(t *testing.T) {
	as := func(name, domain, country string) object {
		return object{{"asn", "AS64500"}, {"as_name", name}, {"as_domain", domain}, {"country_code", country}}
	}
	db, err := parse(context.Background(), "a.mmdb", write("Test", 6,
		network{"10.0.0.0/8", as("Old Name", "old.example", "CH")},
		network{"192.0.2.0/24", as("Example", "example.org", "DE")},
		network{"198.51.100.0/24", as("Example", "", "DE")},
		network{"2001:db8::/32", as("Example", "example.org", "AT")},
		network{"203.0.113.0/24", object{{"asn", "AS64501"}}},
	), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := db.system(64500)
	const want = "asn: AS64500\nas_name: Example\nas_domain: example.org\ncountries: DE|AT|CH\nnetworks_ipv4# 3\nnetworks_ipv6# 1"
	if got := text(f); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := canon(f), "asn=AS64500 as_name=Example as_domain=example.org country_code=DE"; got != want {
		t.Errorf("canonical %s, want %s", got, want)
	}
	if again, made := db.system(64500); again != f || made {
		t.Error("made twice")
	}
	if f, _ := db.system(64501); text(f) != "asn: AS64501\nnetworks_ipv4# 1\nnetworks_ipv6# 0" {
		t.Errorf("AS64501: %s", text(f))
	}
	if f, _ := db.system(64502); f != nil {
		t.Errorf("AS64502: %s", text(f))
	}
}

// The countries of an AS whose networks are all over the world are not all listed.
func TestManyCountries(t *testing.T) {
	var networks []network
	for i := range 20 {
		cc := string([]byte{'A' + byte(i), 'A'})
		networks = append(networks, network{fmt.Sprintf("10.%d.0.0/16", i), object{{"asn", "AS64500"}, {"country_code", cc}}})
	}
	db, err := parse(context.Background(), "a.mmdb", write("Test", 6, networks...), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := db.system(64500)
	if got := text(f); strings.Count(got, "|") != maxCountries-1 || !strings.Contains(got, "\ncountries_total# 20\n") {
		t.Errorf("%s\nwant %d countries of 20", got, maxCountries)
	}
}

func TestSystemsOfComposite(t *testing.T) {
	path := testenv.Path(t, "mmdb", "lite-composite.mmdb")
	db := sourceOf(t, path).current.Load().databases[0]
	f, _ := db.system(15169)
	if f == nil || f.Value(enrich.ASName) != "Google LLC" || f.Value(enrich.ASDomain) != "google.com" ||
		f.Value(enrich.CountryCode) != "US" {
		t.Fatalf("AS15169: %v", f)
	}
	r, err := maxminddb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var v4, v6 uint32
	google := make(map[uintptr]bool)
	for i, offset := range db.offsets {
		google[uintptr(offset)] = db.build(i).Value(enrich.ASN) == "AS15169"
	}
	for res := range r.Networks() {
		switch {
		case !google[res.Offset()]:
		case res.Prefix().Addr().Is4():
			v4++
		default:
			v6++
		}
	}
	if s := db.systems.find(15169); s.v4 != v4 || s.v6 != v6 || v4 == 0 || v6 == 0 {
		t.Errorf("AS15169 has %d and %d networks, the reader counts %d and %d", s.v4, s.v6, v4, v6)
	}
}
