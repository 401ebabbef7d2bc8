package registryfarm

import (
	"strconv"
	"time"
)

// Facts are what the farm's registries know about a domain. They follow from the name alone, on every machine and for ever.
type Facts struct {
	Name       string // lower case, A-labels
	Behaviour  Behaviour
	Registered bool   // whether the registry has the name; what it answers is up to Behaviour. If not, the rest is zero
	Handle     string // the registry's identifier

	Registrar    string
	RegistrarID  string // its number at IANA
	RegistrarURL string
	AbuseEmail   string // the registrar's

	Created, Updated, Expires time.Time // UTC, whole seconds, in this order; all but those of [Expired] expire after 2034

	NameServers []string // lower case
	Status      []string // EPP codes
	Signed      bool     // DNSSEC

	// Registrant is who has the name, as registries and registrars with contacts tell it. Where it is Redacted, they tell the
	// organization, the state and the country only, and the other fields are empty.
	Registrant Person
	Redacted   bool
}

// Person is a contact.
type Person struct {
	Name, Organization, Street, City, State, PostalCode string
	Country                                             string // ISO 3166 code
	Email                                               string
	Phone                                               string // as EPP writes it (RFC 5733 §2.5): +44.2079460123
}

// hash is FNV-1a with a finish that spreads it (SplitMix64), so that neighbouring names have nothing in common. Go's own hashes
// differ from process to process.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// draw takes numbers out of a hash, one after the other.
type draw uint64

// below is a number from 0 up to but without n.
func (d *draw) below(n int) int {
	*d = draw(mix(uint64(*d)))
	return int(uint64(*d) >> 1 % uint64(n))
}

var registrars = [...]string{"Alder Names Ltd.", "Birch Domains GmbH", "Cedar Registrations Inc.", "Dogwood Internet LLC", "Elm Online B.V.",
	"Fir Hosting S.A.", "Ginkgo Network Co., Ltd.", "Hazel Digital AB", "Ivy Web Services, Inc.", "Juniper Names Pty Ltd",
	"Kapok Domains SARL", "Larch Internet AG", "Maple Registrar Inc.", "Nutmeg Names Limited", "Oak Domain Services", "Pine Web S.r.l."}

var registrarHosts = [len(registrars)]string{"alder.example", "birch.example", "cedar.example", "dogwood.example", "elm.example", "fir.example",
	"ginkgo.example", "hazel.example", "ivy.example", "juniper.example", "kapok.example", "larch.example", "maple.example",
	"nutmeg.example", "oak.example", "pine.example"}

var (
	firstNames = [...]string{"Ada", "Boris", "Chloe", "Dmitri", "Edith", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kira", "Liam"}
	lastNames  = [...]string{"Archer", "Baker", "Carter", "Draper", "Fisher", "Glover", "Hooper", "Mason", "Potter", "Sawyer", "Turner", "Weaver"}
	streets    = [...]string{"Elm Street", "Harbour Road", "Mill Lane", "Station Road", "Church Walk", "Market Place"}
	works      = [...]string{"Tools", "Foods", "Textiles", "Optics", "Shipping", "Ceramics", "Books", "Instruments"}
	places     = [...]struct{ city, state, country, phone string }{
		{"Springfield", "IL", "US", "+1.2175550"}, {"Leeds", "West Yorkshire", "GB", "+44.1134960"}, {"Utrecht", "UT", "NL", "+31.3055501"},
		{"Graz", "Steiermark", "AT", "+43.3165550"}, {"Osaka", "Osaka", "JP", "+81.6555501"}, {"Recife", "PE", "BR", "+55.8155501"},
		{"Perth", "WA", "AU", "+61.8555010"}, {"Nairobi", "Nairobi", "KE", "+254.205550"},
	}
	statuses = [...][]string{{"ok"}, {"clientTransferProhibited"}, {"clientTransferProhibited", "clientUpdateProhibited"},
		{"clientDeleteProhibited", "clientTransferProhibited", "clientUpdateProhibited", "serverTransferProhibited"}, {"clientHold"}}
)

var (
	epoch        = time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC)
	lastCreation = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	lastChange   = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Expected is what the farm knows about a name (any case, A-labels or U-labels). Zero for what is no domain name.
func Expected(name string) Facts {
	name, ok := canonical(name)
	if !ok {
		return Facts{}
	}
	f := Facts{Name: name, Behaviour: BehaviourOf(name)}
	if f.Registered = f.Behaviour.registered(); !f.Registered {
		return f
	}
	h := hash(name)
	d := draw(h)
	f.Handle = "D" + strconv.FormatUint(h>>28, 10) + "-FARM"
	n := d.below(len(registrars))
	f.Registrar, f.RegistrarID = registrars[n], strconv.Itoa(9000+n)
	f.RegistrarURL, f.AbuseEmail = "https://www."+registrarHosts[n]+"/", "abuse@"+registrarHosts[n]
	f.setTimes(&d)
	f.setServers(&d)
	f.Status = statuses[d.below(len(statuses))]
	f.Signed = d.below(3) == 0
	f.setRegistrant(&d)
	return f
}

func (f *Facts) setTimes(d *draw) {
	f.Created = epoch.Add(time.Duration(d.below(int(lastCreation.Sub(epoch)/time.Second))) * time.Second)
	f.Updated = f.Created.Add(time.Duration(1+d.below(int(lastChange.Sub(f.Created)/time.Second))) * time.Second)
	year := 2034 + d.below(10)
	if f.Behaviour == Expired {
		year, f.Updated = f.Created.Year()+1, f.Created
	}
	// On the day before that of the creation, which every year has.
	f.Expires = time.Date(year, f.Created.Month(), min(f.Created.Day(), 28), f.Created.Hour(), f.Created.Minute(), f.Created.Second(), 0, time.UTC)
}

func (f *Facts) setServers(d *draw) {
	zone := f.Name
	if d.below(4) != 0 {
		zone = "dns" + strconv.Itoa(d.below(900)) + ".example.net"
	}
	f.NameServers = make([]string, 2+d.below(3))
	for i := range f.NameServers {
		f.NameServers[i] = "ns" + strconv.Itoa(i+1) + "." + zone
	}
}

func (f *Facts) setRegistrant(d *draw) {
	place := &places[d.below(len(places))]
	last := lastNames[d.below(len(lastNames))]
	p := Person{
		Name:         firstNames[d.below(len(firstNames))] + " " + last,
		Organization: last + " " + works[d.below(len(works))],
		Street:       strconv.Itoa(1+d.below(200)) + " " + streets[d.below(len(streets))],
		City:         place.city, State: place.state, Country: place.country,
		PostalCode: strconv.Itoa(10000 + d.below(90000)),
		Phone:      place.phone + strconv.Itoa(100+d.below(900)),
		Email:      "owner" + strconv.Itoa(d.below(100000)) + "@mail.example",
	}
	if s := scripts[f.Behaviour]; s != nil {
		p.Name, p.Organization = s.name, s.organization
	} else if f.Redacted = d.below(4) == 0; f.Redacted {
		p = Person{Organization: p.Organization, State: p.State, Country: p.Country}
	}
	f.Registrant = p
}
