package mmdb

import (
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// publishers are told by a word in a database's type, or at the beginning of its description, in lower case. DB-IP comes before
// MaxMind, as its types say "compat=GeoLite2-ASN". What the licences ask to be shown is from the publishers' pages; docs/mmdb.md
// has the links.
var publishers = []struct{ word, attribution string }{
	{"ipinfo", "IP address data powered by IPinfo, https://ipinfo.io (CC BY-SA 4.0)"},
	{"dbip", "IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)"},
	{"db-ip", "IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)"},
	{"iplocate", "IP address data by IPLocate, https://iplocate.io (CC BY-SA 4.0)"},
	{"geolite", "This product includes GeoLite Data created by MaxMind, available from https://www.maxmind.com"},
	{"geoip", "Data created by MaxMind, available from https://www.maxmind.com"},
}

// attribution is what the licence of a known publisher's data asks to be shown, empty for others.
func attribution(m *maxminddb.Metadata) string {
	typ, description := strings.ToLower(m.DatabaseType), strings.ToLower(m.Description["en"])
	for _, p := range publishers {
		if strings.Contains(typ, p.word) || strings.HasPrefix(description, p.word) {
			return p.attribution
		}
	}
	return ""
}
