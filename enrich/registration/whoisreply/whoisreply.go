// Package whoisreply says what a WHOIS reply (RFC 3912) means: whether the name is registered, available, reserved, or nobody
// knows because the server would not say; and, of a registered name, when it was created, changed and expires, its registrar,
// name servers, status and contacts.
//
// There is no standard form. Replies are read by tables of what registries have in common: the styles in which keys and values
// are written (scan.go), the names of keys (keys.go, tongues.go), the layouts of dates (date.go), and the sentences
// that tell a class (classify.go). No rule knows a domain, a TLD or a server.
//
// What is in doubt is never Available: a reply that speaks of a limit is Throttled whatever else it says, unless it has the
// registration itself, and a reply that nothing explains is an Error. A reply that breaks off is read as far as it goes: what is nearly
// whole at its end counts, where it can be nothing else (broken.go).
package whoisreply

import "time"

// Class is what a reply says about the name that was asked for.
type Class uint8

// The classes of replies. The zero value is Error, so that a Reply nobody filled in claims nothing.
const (
	Error       Class = iota // no answer can be read out of the reply
	Registered               // the name is registered; the reply has at least one fact about it
	Available                // the server says that it does not have the name
	Reserved                 // the registry keeps the name back, or forbids it
	Throttled                // too many queries for now: ask later, see Reply.Wait
	Blocked                  // the server refuses this client until somebody does something about it
	Unsupported              // the server does not answer for such names
)

var classNames = [...]string{"error", "registered", "available", "reserved", "throttled", "blocked", "unsupported"}

// String is the class in lower case.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "error"
}

// Reply is what a WHOIS reply says. What it does not say is zero. Strings are cut out of the reply and share its memory.
type Reply struct {
	Class       Class
	Domain      string    // the name the reply speaks of, lower case, no final dot
	Created     time.Time // UTC; where the reply names no zone, its time is taken as UTC
	Updated     time.Time // last change of the registration, UTC
	Expires     time.Time // end of the registration, UTC
	Registrar   string
	RegistrarID string   // IANA's number of the registrar, digits
	NameServers []string // in the reply's order, lower case, no final dot, no repetition
	Status      []string // EPP codes (RFC 5731, RFC 3915) in their spelling; other words in lower case, as the registry has them
	Registrant  Contact
	Admin       Contact
	Tech        Contact
	Billing     Contact
	WhoisServer string // host name of the WHOIS server to ask next, lower case
	ReferralURL string
	DNSSEC      string        // as the reply has it: "unsigned", "signedDelegation", "yes"
	Wait        time.Duration // how long a throttled client is told to wait, 0 where it is not told
}

// Contact is a person or organisation beside a registration.
type Contact struct {
	Name         string
	Organization string
	Address      string // lines joined with ", "; whatever neither a key nor the form of a line tells apart is here
	City         string
	State        string
	PostalCode   string
	Country      string // as the reply has it: a code or a name
	Email        string
	Phone        string
	// Redacted are the fields that the reply has but withholds ("REDACTED FOR PRIVACY"); they are empty above.
	Redacted ContactFields
}

// ContactFields is a set of fields of a [Contact].
type ContactFields uint16

// The fields of a Contact.
const (
	ContactName ContactFields = 1 << iota
	ContactOrganization
	ContactAddress
	ContactCity
	ContactState
	ContactPostalCode
	ContactCountry
	ContactEmail
	ContactPhone
)

// limits of what is kept of one reply; a reply with more is not a reply to a question about one name.
const (
	maxValues = 64   // name servers, status codes
	maxValue  = 1024 // bytes of a value
)

// Parse reads the reply to a query for domain (ASCII or Unicode form, any case; "" where it is not known, which leaves the first
// name that the reply speaks of). The text is UTF-8; bytes that are not are kept as they are. It never fails: what cannot be
// read is of class [Error]. Its time is linear in the length of text.
func Parse(text, domain string) Reply {
	p := parser{asked: cleanHost(domain)}
	p.read(text)
	p.finish()
	p.mend(text)
	p.reply.Class = p.classify(text)
	p.finishContacts()
	return p.reply
}
