package mmdb

import (
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/whence-project/whence/internal/licence"
)

// publishers are told by a word in a database's type, or at the beginning of its description, in lower case. DB-IP comes before
// MaxMind, as its types say "compat=GeoLite2-ASN".
var publishers = []struct {
	word  string
	terms licence.Terms
}{
	{"ipinfo", licence.IPinfo},
	{"dbip", licence.DBIP},
	{"db-ip", licence.DBIP},
	{"iplocate", licence.IPLocate},
	{"geolite", licence.GeoLite},
	{"geoip", licence.GeoIP},
}

// termsOf is what the licence of a known publisher's data asks for, zero for others.
func termsOf(m *maxminddb.Metadata) licence.Terms {
	typ, description := strings.ToLower(m.DatabaseType), strings.ToLower(m.Description["en"])
	for _, p := range publishers {
		if strings.Contains(typ, p.word) || strings.HasPrefix(description, p.word) {
			return p.terms
		}
	}
	return licence.Terms{}
}
