package rdap

import (
	"strings"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// role is a set of what an entity is to the object (RFC 9083 §10.2.4).
type role uint8

const (
	registrant role = 1 << iota
	admin
	tech
	billing
	abuse
	registrar
)

var roles = map[string]role{"registrant": registrant, "administrative": admin, "technical": tech, "billing": billing, "abuse": abuse,
	"registrar": registrar}

// entity is a person or organisation (RFC 9083 §5.1).
type entity struct {
	roles    role
	handle   string
	iana     string // IANA's number of a registrar
	website  string // a link to what it says of itself
	card     card
	withheld whoisreply.ContactFields // what is left out on purpose, by what remarks say
	entities []entity
}

func readEntities(c *cursor, depth int) (list []entity) {
	if depth > maxNesting {
		return nil
	}
	for range c.values() {
		if c.next() != '{' || len(list) == maxValues {
			continue
		}
		list = append(list, entity{})
		e := &list[len(list)-1]
		for name := range c.members() {
			e.read(name, c, depth)
		}
	}
	return list
}

func (e *entity) read(name []byte, c *cursor, depth int) {
	switch string(name) {
	case "handle":
		e.handle = c.text()
	case "roles":
		for range c.values() {
			e.roles |= roles[strings.ToLower(c.text())]
		}
	case "vcardArray":
		e.card.read(c)
	case "publicIds":
		e.readPublicIDs(c)
	case "entities":
		e.entities = readEntities(c, depth+1)
	case "remarks":
		for _, n := range readNotices(c) {
			e.withheld |= withheldBy(n.title)
		}
	case "links":
		for _, l := range readLinks(c) {
			if l.rel == "about" && !strings.HasPrefix(l.media, mediaType) && e.website == "" {
				e.website = webURL(l.href)
			}
		}
	}
}

// readPublicIDs reads public identifiers (RFC 9083 §4.8), of which the registrar's number at IANA is wanted.
func (e *entity) readPublicIDs(c *cursor) {
	for range c.values() {
		var kind, id string
		for name := range c.members() {
			switch string(name) {
			case "type":
				kind = strings.ToLower(c.text())
			case "identifier":
				id = c.text()
			}
		}
		if e.iana == "" && strings.Contains(kind, "iana") && isNumber(id) {
			e.iana = id
		}
	}
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 10 && strings.Trim(s, "0123456789") == ""
}

// assignEntities gives the contacts their places. Those that stand at the object itself go before those within others.
func (d *document) assignEntities() {
	if d.Class == ClassEntity {
		d.assign(&entity{roles: registrant, card: d.self}, registrant)
		d.Name, d.Country = d.self.name, d.self.contact.Country
	}
	for i := range d.entities {
		e := &d.entities[i]
		if e.roles&registrar != 0 {
			d.setRegistrar(e)
		}
		d.assign(e, ^role(0))
	}
	for i := range d.entities {
		e := &d.entities[i]
		switch {
		case d.Class != ClassDomain:
			d.assignNested(e, admin|tech|abuse)
		case e.roles&registrar != 0:
			d.assignNested(e, abuse) // its other contacts are not the domain's
		}
	}
}

func (d *document) assignNested(e *entity, which role) {
	for i := range e.entities {
		d.assign(&e.entities[i], which)
		d.assignNested(&e.entities[i], which)
	}
}

func (d *document) assign(e *entity, which role) {
	if e.roles&which&^registrar == 0 {
		return
	}
	contact := e.contact()
	for _, place := range d.contacts() {
		if e.roles&which&place.role != 0 && *place.contact == (whoisreply.Contact{}) {
			*place.contact = contact
		}
	}
}

type place struct {
	role    role
	contact *whoisreply.Contact
}

func (d *document) contacts() [5]place {
	return [...]place{{registrant, &d.Registrant}, {admin, &d.Admin}, {tech, &d.Tech}, {billing, &d.Billing}, {abuse, &d.Abuse}}
}

func (d *document) setRegistrar(e *entity) {
	if d.Registrar != "" {
		return
	}
	d.RegistrarID = e.iana
	if d.RegistrarID == "" && d.icann && isNumber(e.handle) {
		d.RegistrarID = e.handle // as the profile of generic top-level domains wants it
	}
	d.RegistrarURL = e.card.url
	if d.RegistrarURL == "" {
		d.RegistrarURL = e.website
	}
	for _, name := range [...]string{e.card.name, e.card.contact.Organization, e.handle} {
		if d.Registrar = name; name != "" {
			return
		}
	}
}

// contact is what the entity's card says.
func (e *entity) contact() whoisreply.Contact {
	c := e.card.contact
	c.Name = e.card.name
	if e.card.kind == "org" && c.Organization == "" {
		c.Name, c.Organization = "", c.Name
	}
	withhold(&c, e.withheld)
	return c
}
