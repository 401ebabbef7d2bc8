package registration

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// Class is what a registry says of a subject.
type Class = whoisreply.Class

// Answer is what is known of one registration: a domain's, a network's, an AS number's. What nobody said is zero.
type Answer struct {
	Class  Class     `json:"-"`
	Via    string    `json:"via"`              // rdap, whois, or what an import was called
	Server string    `json:"server,omitempty"` // host that answered
	Second string    `json:"second,omitempty"` // the registrar's, where it was asked too
	Asked  time.Time `json:"asked"`            // when, UTC
	Fault  Fault     `json:"fault,omitempty"`  // why Second gave no answer
	Reason string    `json:"reason,omitempty"` // the same in words

	Name        string    `json:"name,omitempty"` // the domain, as registered; a network's or AS number's name
	ID          string    `json:"id,omitempty"`   // the registry's identifier (ROID), or handle
	Registrar   string    `json:"registrar,omitempty"`
	RegistrarID string    `json:"registrar_id,omitempty"` // IANA's number of the registrar
	Created     time.Time `json:"created,omitzero"`
	Updated     time.Time `json:"updated,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	NameServers []string  `json:"name_servers,omitempty"`
	Status      []string  `json:"status,omitempty"`
	WhoisServer string    `json:"whois_server,omitempty"`
	ReferralURL string    `json:"referral_url,omitempty"`
	DNSSEC      string    `json:"dnssec,omitempty"`

	Registrant contact `json:"registrant,omitzero"`
	Admin      contact `json:"admin,omitzero"`
	Tech       contact `json:"tech,omitzero"`
	Billing    contact `json:"billing,omitzero"`
	Abuse      contact `json:"abuse,omitzero"`

	// Of networks and AS numbers.
	Networks []netip.Prefix `json:"networks,omitempty"`
	Range    string         `json:"range,omitempty"` // first and last, as the registry has them
	Type     string         `json:"type,omitempty"`
	Country  string         `json:"country,omitempty"`
	Parent   string         `json:"parent,omitempty"`
}

// contact is a whoisreply.Contact with the names that the cache has for its fields.
type contact struct {
	Name         string                   `json:"name,omitempty"`
	Organization string                   `json:"org,omitempty"`
	Address      string                   `json:"address,omitempty"`
	City         string                   `json:"city,omitempty"`
	State        string                   `json:"state,omitempty"`
	PostalCode   string                   `json:"postal,omitempty"`
	Country      string                   `json:"country,omitempty"`
	Email        string                   `json:"email,omitempty"`
	Phone        string                   `json:"phone,omitempty"`
	Redacted     whoisreply.ContactFields `json:"redacted,omitempty"`
}

// classes are the classes by name, as the cache writes them.
var classes = func() map[string]Class {
	m := make(map[string]Class)
	for c := whoisreply.Error; c <= whoisreply.Unsupported; c++ {
		m[c.String()] = c
	}
	return m
}()

// entryVersion is that of the form in which answers are cached. What is of another is as good as not there.
const entryVersion = 1

// cached is an answer in the store, with how long it is good.
type cached struct {
	Version int       `json:"v"`
	Class   string    `json:"class"`
	Fresh   time.Time `json:"fresh,omitzero"` // until then it need not be asked again; zero: never
	Answer
}

func encode(a *Answer, fresh time.Time) ([]byte, error) {
	return json.Marshal(cached{entryVersion, a.Class.String(), fresh, *a})
}

func decode(b []byte) (*Answer, time.Time, error) {
	var c cached
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, time.Time{}, err
	}
	class, ok := classes[c.Class]
	if !ok || c.Version != entryVersion {
		return nil, time.Time{}, fmt.Errorf("an answer of version %d, class %q", c.Version, c.Class)
	}
	c.Answer.Class = class
	return &c.Answer, c.Fresh, nil
}

// merge adds to a what the registrar's server told beside the registry, which has the last word where it has one.
func (a *Answer) merge(registrar *Answer) {
	fill(&a.Registrar, registrar.Registrar)
	fill(&a.RegistrarID, registrar.RegistrarID)
	fill(&a.ReferralURL, registrar.ReferralURL)
	fill(&a.WhoisServer, registrar.WhoisServer)
	fill(&a.DNSSEC, registrar.DNSSEC)
	if a.Created.IsZero() {
		a.Created = registrar.Created
	}
	if a.Updated.IsZero() {
		a.Updated = registrar.Updated
	}
	if a.Expires.IsZero() {
		a.Expires = registrar.Expires
	}
	if len(a.NameServers) == 0 {
		a.NameServers = registrar.NameServers
	}
	if len(a.Status) == 0 {
		a.Status = registrar.Status
	}
	for _, c := range [...][2]*contact{
		{&a.Registrant, &registrar.Registrant}, {&a.Admin, &registrar.Admin}, {&a.Tech, &registrar.Tech},
		{&a.Billing, &registrar.Billing}, {&a.Abuse, &registrar.Abuse},
	} {
		if c[0].empty() {
			*c[0] = *c[1]
		}
	}
	a.Second = registrar.Server
}

func fill(to *string, from string) {
	if *to == "" {
		*to = from
	}
}

// empty reports that nothing is known of the contact but what is withheld.
func (c *contact) empty() bool {
	return c.Name == "" && c.Organization == "" && c.Address == "" && c.City == "" && c.Email == "" && c.Phone == ""
}
