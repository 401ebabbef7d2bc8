package rdap

import (
	"strconv"
	"strings"
	"time"
)

// common reads a member that is none of a network's or an AS number's alone, and reports whether it was one.
func (d *document) common(name []byte, c *cursor) bool {
	switch string(name) {
	case "objectClassName":
		d.Class = strings.ToLower(c.text())
	case "handle":
		d.Handle = c.text()
	case "ldhName":
		d.LDHName = hostName(c.text())
	case "unicodeName":
		d.UnicodeName = c.text()
	case "port43":
		d.Port43 = hostName(c.text())
	case "events":
		d.readEvents(c)
	case "status":
		d.Status = c.texts(maxValues)
	case "nameservers":
		d.readNameServers(c)
	case "secureDNS":
		d.readSecureDNS(c)
	case "entities":
		d.entities = readEntities(c, 1)
	case "links":
		d.links = readLinks(c)
	case "redacted":
		d.redactions = readRedactions(c)
	case "rdapConformance":
		for _, s := range c.texts(maxValues) {
			d.conformant = true
			d.icann = d.icann || strings.HasPrefix(s, "icann_rdap_")
		}
	case "errorCode":
		d.errorCode, _ = strconv.Atoi(c.text())
	case "title":
		d.title = c.text()
	case "description":
		d.description = c.texts(maxNotices)
	case "notices", "remarks":
		if len(d.noticesAt) < maxNotices {
			d.noticesAt = append(d.noticesAt, c.i)
		}
	default:
		return false
	}
	return true
}

// finish works out what depends on more than one member, whose order is anybody's.
func (d *document) finish() {
	if d.LDHName == "" {
		d.LDHName = hostName(d.UnicodeName)
	}
	for i, s := range d.Status {
		d.Status[i] = statusCode(s, d.Class == ClassDomain)
	}
	d.Status = unique(d.Status)
	switch {
	case d.signed == yes, d.signed == unknown && d.keys:
		d.DNSSEC = "signedDelegation"
	case d.signed == no:
		d.DNSSEC = "unsigned"
	}
	d.finishNumber()
	d.assignEntities()
	d.applyRedactions()
	d.findRelated()
}

// readEvents reads the times of RFC 9083 §4.5. Of several with one action, the first registration and the last of the others
// count.
func (d *document) readEvents(c *cursor) {
	for range c.values() {
		var action string
		var at time.Time
		for name := range c.members() {
			switch string(name) {
			case "eventAction":
				action = strings.ToLower(c.text())
			case "eventDate":
				at = parseTime(c.text())
			}
		}
		var to *time.Time
		switch action {
		case "registration":
			if to = &d.Created; !to.IsZero() && to.Before(at) {
				continue
			}
		case "last changed":
			to = &d.Updated
		case "expiration":
			to = &d.Expires
		case "registrar expiration":
			to = &d.RegistrarExpires
		case "last update of rdap database":
			to = &d.DatabaseUpdated
		default:
			continue
		}
		if !at.IsZero() && (action == "registration" || at.After(*to)) {
			*to = at
		}
	}
}

func (d *document) readNameServers(c *cursor) {
	for range c.values() {
		var host string
		if c.next() == '"' { // the name alone
			bare, _, _ := strings.Cut(c.text(), " ") // addresses may follow
			host = hostName(bare)
		} else {
			host = c.nameServer()
		}
		if host != "" && len(d.NameServers) < maxValues {
			d.NameServers = append(d.NameServers, host)
		}
	}
	d.NameServers = unique(d.NameServers)
}

func (c *cursor) nameServer() string {
	var ldh, unicode string
	for name := range c.members() {
		switch string(name) {
		case "ldhName":
			ldh = hostName(c.text())
		case "unicodeName":
			unicode = c.text()
		}
	}
	if ldh == "" {
		return hostName(unicode)
	}
	return ldh
}

func (d *document) readSecureDNS(c *cursor) {
	for name := range c.members() {
		switch string(name) {
		case "delegationSigned":
			switch strings.ToLower(c.text()) {
			case "true":
				d.signed = yes
			case "false":
				d.signed = no
			}
		case "dsData", "keyData":
			for range c.values() {
				d.keys = true
			}
		}
	}
}

// link is one of RFC 9083 §4.2.
type link struct{ rel, href, media string }

func readLinks(c *cursor) (links []link) {
	for range c.values() {
		var l link
		for name := range c.members() {
			switch string(name) {
			case "rel":
				l.rel = strings.ToLower(c.text())
			case "href":
				l.href = c.text()
			case "type":
				l.media = strings.ToLower(c.text())
			}
		}
		if l.href != "" && len(links) < maxValues {
			links = append(links, l)
		}
	}
	return links
}

// findRelated finds where else the same object is. A link to another one is not followed: what comes back would be about that.
func (d *document) findRelated() {
	for _, l := range d.links {
		if l.rel != "related" || !strings.HasPrefix(l.media, mediaType) || len(d.Related) == maxRelated {
			continue
		}
		u, err := parseURL(l.href)
		if err != nil {
			continue
		}
		if q, ok := queryOf(u); ok && q.mismatch(&d.Object) == "" {
			d.Related = append(d.Related, u.String())
		}
	}
	d.Related = unique(d.Related)
}

// readNotices reads notices or remarks (RFC 9083 §4.3), with their titles and what they say.
func readNotices(c *cursor) (list []notice) {
	for range c.values() {
		var n notice
		for name := range c.members() {
			switch string(name) {
			case "title":
				n.title = c.text()
			case "description":
				n.text = strings.Join(c.texts(maxNotices), "\n")
			}
		}
		if len(list) < maxNotices {
			list = append(list, n)
		}
	}
	return list
}
