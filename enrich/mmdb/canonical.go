package mmdb

import (
	"strconv"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// mapping says which canonical field a flattened key may set. Of several keys in one record the one of the lowest rank does,
// whatever their order in the file.
type mapping struct {
	key  enrich.Key
	rank uint8
}

// withAS is the rank from which a key counts only in a record that has an AS number: "name" may be anybody's.
const withAS = 10

// canonical is the one table from the vendors' keys, as they are after flattening, to the canonical fields. What is not in it
// stays a field of the source alone; registered_country, say, is where an operator has its seat, not where an address is.
var canonical = map[string]mapping{
	"asn":                             {enrich.ASN, 0}, // IPinfo, IPLocate
	"autonomous_system_number":        {enrich.ASN, 1}, // GeoLite2, DB-IP, ip-location-db
	"traits_autonomous_system_number": {enrich.ASN, 2}, // GeoIP2 Enterprise, DB-IP
	"as_asn":                          {enrich.ASN, 3}, // IPinfo, nested
	"asn_asn":                         {enrich.ASN, 3},
	"as_number":                       {enrich.ASN, 4},

	"as_name":                               {enrich.ASName, 0}, // IPinfo
	"autonomous_system_organization":        {enrich.ASName, 1}, // GeoLite2, DB-IP, ip-location-db
	"traits_autonomous_system_organization": {enrich.ASName, 2},
	"asn_name":                              {enrich.ASName, 3},
	"as_organization":                       {enrich.ASName, 4},
	"as_org":                                {enrich.ASName, 5},
	"name":                                  {enrich.ASName, withAS}, // IPinfo ASN, IPLocate
	"org":                                   {enrich.ASName, withAS + 1},

	"as_domain":  {enrich.ASDomain, 0}, // IPinfo
	"asn_domain": {enrich.ASDomain, 1},
	"domain":     {enrich.ASDomain, withAS}, // IPinfo ASN, IPLocate

	"country_code":     {enrich.CountryCode, 0}, // IPinfo Lite, ip-location-db, IPLocate
	"country_iso_code": {enrich.CountryCode, 1}, // GeoLite2, DB-IP
	"geo_country_code": {enrich.CountryCode, 2},
	"country_iso":      {enrich.CountryCode, 3},

	"country_names_en": {enrich.Country, 0}, // GeoLite2, DB-IP
	"country_name":     {enrich.Country, 1},
	"country":          {enrich.Country, 2}, // a name in IPinfo Lite, a code in other products of IPinfo
	"geo_country":      {enrich.Country, 3},

	"continent_code":     {enrich.ContinentCode, 0},
	"geo_continent_code": {enrich.ContinentCode, 1},

	"continent_names_en": {enrich.Continent, 0},
	"continent_name":     {enrich.Continent, 1},
	"continent":          {enrich.Continent, 2}, // a name or a code, like country
	"geo_continent":      {enrich.Continent, 3},
}

// codeOf is the field that a key for names sets where its value is a code.
var codeOf = map[enrich.Key]enrich.Key{enrich.Country: enrich.CountryCode, enrich.Continent: enrich.ContinentCode}

// codeRank is the rank of a code found under a key for names.
const codeRank = 5

// normalize brings a value into the form that docs/fields.md gives the canonical field. The mapping it returns is the one that
// holds for this value; its key is None where the value cannot be that field.
func normalize(m mapping, value string) (mapping, string) {
	switch m.key {
	case enrich.ASN:
		value = asNumber(value)
	case enrich.CountryCode:
		value = letters2(value)
	case enrich.ContinentCode:
		value = letters2(value)
		if !strings.Contains("AF AN AS EU NA OC SA", value) {
			value = ""
		}
	case enrich.Country, enrich.Continent:
		if len(value) == 2 {
			return normalize(mapping{codeOf[m.key], codeRank + m.rank}, value)
		}
	}
	if value == "" {
		return mapping{}, ""
	}
	return m, value
}

// asNumber writes an AS number as AS15169; empty where s is none. Databases write it as a number or with the letters. 0 means
// that no AS announces the network (RFC 7607).
func asNumber(s string) string {
	if len(s) > 2 && (s[0]|0x20) == 'a' && (s[1]|0x20) == 's' {
		s = s[2:]
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		return ""
	}
	return "AS" + strconv.FormatUint(n, 10)
}

// letters2 is s in upper case where it consists of two ASCII letters, else empty.
func letters2(s string) string {
	if len(s) != 2 || !letter(s[0]) || !letter(s[1]) {
		return ""
	}
	if s[0] <= 'Z' && s[1] <= 'Z' {
		return s
	}
	return strings.ToUpper(s)
}

func letter(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }
