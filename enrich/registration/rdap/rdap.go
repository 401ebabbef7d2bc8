// Package rdap asks registries over RDAP (RFC 7480, RFC 9082) and reads what they answer (RFC 9083).
//
// One thing it never says of a name without an RDAP server having said it: that it is not registered. Everything that is not
// the server's own word for it, be it a limit, a firewall, a web page or half an answer, has a [Kind] of its own.
package rdap

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// The classes of objects (RFC 9083 §5).
const (
	ClassDomain     = "domain"
	ClassNetwork    = "ip network"
	ClassAS         = "autnum"
	ClassEntity     = "entity"
	ClassNameServer = "nameserver"
)

// Object is what an answer says of the object that was asked for. What it does not say is zero. Nothing in it shares memory with
// the answer; no text has line breaks, or more than 1,024 bytes.
type Object struct {
	Class       string // one of the classes above, or another that the server has
	Handle      string // the registry's identifier
	LDHName     string // of domains and name servers: lower case, A-labels, no final dot
	UnicodeName string // as the server writes it
	Port43      string // host of the registry's WHOIS server, lower case

	Created          time.Time // event "registration", UTC like all of them; where a time has no zone, it is taken as UTC
	Updated          time.Time // event "last changed"
	Expires          time.Time // event "expiration"
	RegistrarExpires time.Time // event "registrar expiration"
	DatabaseUpdated  time.Time // event "last update of RDAP database"

	Status       []string // of domains: EPP codes (RFC 8056), of others as the server has them; other words in lower case
	NameServers  []string // lower case, A-labels, no final dot, no repetition
	DNSSEC       string   // "signedDelegation", "unsigned", or empty where the answer does not tell
	Registrar    string   // its name; where it has none, its handle
	RegistrarID  string   // IANA's number of the registrar, digits
	RegistrarURL string   // http or https

	// The contacts. Abuse is the registrar's where a domain has none, that of the holder where a network has none. An entity is
	// its own Registrant.
	Registrant, Admin, Tech, Billing, Abuse whoisreply.Contact

	Related []string // URLs of the same object at other RDAP servers, the registrar's for one (http or https)

	Start, End netip.Addr     // of networks: the first and the last address
	Prefixes   []netip.Prefix // that hold Start to End and nothing else
	StartAS    uint32         // of AS numbers: the first
	EndAS      uint32         // and the last, the same where there is but one
	Name, Type string         // of networks and AS numbers, as the registry has them
	Country    string         // upper case, usually two letters
	Parent     string         // handle of the network that this one is part of
}

// limits of what is kept of one answer; one with more is no answer to a question about one object.
const (
	maxText     = 1024 // bytes of a value
	maxValues   = 64   // name servers, status codes, entities
	maxRelated  = 8
	maxNotices  = 16 // and lines of one
	maxNesting  = 3  // of entities in entities
	maxRedacted = 128
)

var (
	errNoJSON  = errors.New("not JSON")
	errNoRDAP  = errors.New("JSON, but no object of RDAP")
	errNoRange = errors.New("a network without its first and last address")
	errNoAS    = errors.New("an AS number without its number")
	errNoName  = errors.New("a domain without a name")
)

// Decode reads an RDAP object. It is strict about what it uses and lenient about the rest: a member of another type than RFC 9083
// gives it is passed over, one value stands for a list of one. Its time is linear in the length of body. It fails for what is
// not JSON, not an object of RDAP, an error response among them, and for an object that does not say what it is about.
func Decode(body []byte) (*Object, error) {
	d, err := read(body)
	if err != nil {
		return nil, err
	}
	if err := d.incomplete(); err != nil {
		return nil, err
	}
	return d.object(), nil
}

// document is an answer of either kind: an object, or an error response (RFC 9083 §6).
type document struct {
	Object
	errorCode   int
	title       string
	description []string
	body        []byte
	noticesAt   []int // where notices and remarks are: they are read where there is nothing else to go by
	conformant  bool  // it has rdapConformance
	icann       bool  // it follows the profile of generic top-level domains

	asNumber   bool // it has startAutnum
	signed     tristate
	keys       bool // it has DS or key records
	self       card // of an entity
	entities   []entity
	links      []link
	cidrs      []netip.Prefix
	redactions []redaction
}

// notice is a title with what it stands above.
type notice struct{ title, text string }

type tristate uint8

const (
	unknown tristate = iota
	no
	yes
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// read takes an answer apart. The document may be neither an object nor an error response.
func read(body []byte) (*document, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if !json.Valid(body) {
		return nil, errNoJSON
	}
	c := &cursor{b: body}
	if c.next() != '{' {
		return nil, errNoRDAP
	}
	d := &document{body: body}
	for name := range c.members() {
		if !d.common(name, c) {
			d.number(name, c)
		}
	}
	d.finish()
	return d, nil
}

// object is the object alone, so that what keeps it does not keep the whole document.
func (d *document) object() *Object {
	o := d.Object
	return &o
}

// notices are the first that the document has.
func (d *document) notices() (list []notice) {
	for _, at := range d.noticesAt {
		list = append(list, readNotices(&cursor{b: d.body, i: at})...)
	}
	return list[:min(len(list), maxNotices)]
}

// incomplete is what keeps the document from being an object.
func (d *document) incomplete() error {
	switch {
	case d.Class == "" || d.errorCode != 0:
		return errNoRDAP
	case (d.Class == ClassDomain || d.Class == ClassNameServer) && d.LDHName == "":
		return errNoName
	case d.Class == ClassNetwork && !d.Start.IsValid():
		return errNoRange
	case d.Class == ClassAS && !d.asNumber:
		return errNoAS
	}
	return nil
}
