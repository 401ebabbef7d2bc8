// Package licence knows what publishers of data ask of those who show them.
package licence

// Terms are what the licence of some data is, and asks for.
type Terms struct {
	Licence     string // its SPDX identifier, or what it is called and where it is; empty where that is not known
	Attribution string // what it asks to be shown; empty for nothing
}

// The licences of more than one publisher.
const (
	ccBy   = "CC-BY-4.0"
	ccBySA = "CC-BY-SA-4.0"
)

// What publishers ask for, from their pages; docs/mmdb.md and docs/update.md have the links.
var (
	DBIP     = Terms{ccBy, "IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)"}
	IPinfo   = Terms{ccBySA, "IP address data powered by IPinfo, https://ipinfo.io (CC BY-SA 4.0)"}
	IPLocate = Terms{ccBySA, "IP address data by IPLocate, https://iplocate.io (CC BY-SA 4.0)"}
	GeoLite  = Terms{"GeoLite2 End User License Agreement, https://www.maxmind.com/en/geolite2/eula",
		"This product includes GeoLite Data created by MaxMind, available from https://www.maxmind.com"}
	GeoIP        = Terms{"", "Data created by MaxMind, available from https://www.maxmind.com"}
	IPLocationDB = Terms{"CDLA-Permissive-2.0", ""}
	IPtoASN      = Terms{"PDDL-1.0", ""}
	Majestic     = Terms{"CC-BY-3.0", "Majestic Million by Majestic, https://majestic.com/reports/majestic-million (CC BY 3.0)"}
	Tranco       = Terms{"those of the lists it is made of, CC BY-NC 4.0 among them, https://tranco-list.eu", "Tranco list, https://tranco-list.eu"}
	Umbrella     = Terms{"free of charge, https://umbrella-static.s3-us-west-1.amazonaws.com/index.html", "Cisco Umbrella Popularity List"}
)
