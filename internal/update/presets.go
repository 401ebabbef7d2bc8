package update

import (
	"cmp"
	"slices"
	"time"

	"github.com/whence-project/whence/internal/licence"
)

// Preset is a publisher's file that is known here. docs/update.md has the same table.
type Preset struct {
	Name        string
	Kind        string // of the source that reads it: "mmdb", "rank"
	About       string // what is in it
	Origin      Origin
	Auth        Auth          // what the publisher wants to know
	TokenOrigin *Origin       // in place of Origin where there is a token, for one that is not needed
	Every       time.Duration // how often the publisher makes a new one
	licence.Terms
}

// Auth is what a publisher wants to know of who downloads.
type Auth string

// What they want.
const (
	NoAuth        Auth = ""
	TokenNeeded   Auth = "token"
	TokenOptional Auth = "token, optional"
	BasicNeeded   Auth = "basic_auth"
)

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// presets are in the order of their names. Publishers' pages have what is asked for and under which licence.
var presets = []Preset{
	dbip("asn", "AS numbers and names"),
	dbip("city", "cities, regions, countries, coordinates"),
	dbip("country", "countries and continents"),
	maxmind("asn", "ASN", "AS numbers and names"),
	maxmind("city", "City", "cities, regions, countries, coordinates"),
	maxmind("country", "Country", "countries and continents"),
	{
		Name: "ipinfo_lite", Kind: "mmdb", About: "AS numbers, names and domains, countries and continents",
		Origin: Origin{
			URL: "https://ipinfo.io/data/ipinfo_lite.mmdb?token={token}",
			Sum: "https://ipinfo.io/data/ipinfo_lite.mmdb/checksums?token={token}",
		},
		Auth: TokenNeeded, Every: day, Terms: licence.IPinfo,
	},
	iplocate("asn", "AS numbers and names"),
	iplocate("country", "countries and continents"),
	ipLocationDB("iptoasn_asn", "iptoasn-asn", "AS numbers and names, of iptoasn.com", licence.IPtoASN),
	ipLocationDB("iptoasn_country", "iptoasn-country", "countries of the AS, of iptoasn.com", licence.IPtoASN),
	{
		Name: "majestic", Kind: "rank", About: "1,000,000 domains by the networks that link to them",
		Origin: Origin{URL: "https://downloads.majestic.com/majestic_million.csv", Least: leastNames},
		Every:  day, Terms: licence.Majestic,
	},
	ipLocationDB("origin_asn", "origin-asn", "AS numbers and names, of ip-location-db", licence.IPLocationDB),
	ipLocationDB("server_country", "server-country", "countries that servers are in, of ip-location-db", licence.IPLocationDB),
	{
		Name: "tranco", Kind: "rank", About: "1,000,000 domains, from several lists over 30 days",
		Origin: Origin{URL: "https://tranco-list.eu/top-1m.csv.zip", Least: leastNames},
		Every:  day, Terms: licence.Tranco,
	},
	{
		Name: "umbrella", Kind: "rank", About: "1,000,000 host names by the DNS queries of Cisco Umbrella",
		Origin: Origin{URL: "https://umbrella-static.s3-us-west-1.amazonaws.com/top-1m.csv.zip", Least: leastNames},
		Every:  day, Terms: licence.Umbrella,
	},
	ipLocationDB("user_country", "user-country", "countries that users are in, of ip-location-db", licence.IPLocationDB),
}

// leastNames is how many names a list of a million must have to be one.
const leastNames = 100_000

func dbip(set, about string) Preset {
	return Preset{
		Name: "dbip_" + set + "_lite", Kind: "mmdb", About: about,
		Origin: Origin{URL: "https://download.db-ip.com/free/dbip-" + set + "-lite-{year}-{month}.mmdb.gz"},
		Every:  month, Terms: licence.DBIP,
	}
}

func maxmind(set, edition, about string) Preset {
	const base = "https://download.maxmind.com/geoip/databases/GeoLite2-"
	return Preset{
		Name: "geolite2_" + set, Kind: "mmdb", About: about,
		Origin: Origin{
			URL: base + edition + "/download?suffix=tar.gz",
			Sum: base + edition + "/download?suffix=tar.gz.sha256",
		},
		Auth: BasicNeeded, Every: 84 * time.Hour, Terms: licence.GeoLite,
	}
}

func iplocate(set, about string) Preset {
	file := "ip-to-" + set
	return Preset{
		Name: "iplocate_" + set, Kind: "mmdb", About: about,
		Origin:      Origin{URL: "https://github.com/iplocate/ip-address-databases/raw/refs/heads/main/" + file + "/" + file + ".mmdb"},
		TokenOrigin: &Origin{URL: "https://www.iplocate.io/download/" + file + ".mmdb?apikey={token}&variant=daily"},
		Auth:        TokenOptional, Every: day, Terms: licence.IPLocate,
	}
}

func ipLocationDB(name, file, about string, terms licence.Terms) Preset {
	const base = "https://github.com/sapics/ip-location-db/releases/download/"
	return Preset{
		Name: name, Kind: "mmdb", About: about,
		Origin: Origin{URL: base + "latest/" + file + ".mmdb", Sum: base + "checksum/" + file + ".mmdb.sha256"},
		Every:  day, Terms: terms,
	}
}

// Presets are all of them, in the order of their names. They must not be changed.
func Presets() []Preset { return presets }

// PresetOf is the preset of that name for sources of that kind.
func PresetOf(kind, name string) (Preset, bool) {
	i, ok := slices.BinarySearchFunc(presets, name, func(p Preset, name string) int { return cmp.Compare(p.Name, name) })
	if !ok || presets[i].Kind != kind {
		return Preset{}, false
	}
	return presets[i], true
}
