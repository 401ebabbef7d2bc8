package enrich

// Key is a canonical field: the one name by which every door and policy knows a fact, whatever the data set calls it.
// docs/fields.md lists them with their form.
type Key uint8

// The canonical fields. The network an answer holds for is canonical too, but no Key: see [Record.Network].
const (
	None          Key = iota // not canonical
	ASN                      // origin AS number, "AS15169"
	ASName                   // name of the AS or its operator
	ASDomain                 // domain of the operator
	CountryCode              // ISO 3166-1 alpha-2, upper case
	Country                  // the country's English name
	ContinentCode            // AF AN AS EU NA OC SA
	Continent                // the continent's English name
	Registry                 // the regional Internet registry: afrinic apnic arin lacnic ripencc
	Registrar                // the name's registrar
	Created                  // registration time, RFC 3339 in UTC
	Updated                  // last change of the registration, RFC 3339 in UTC
	Expires                  // end of the registration, RFC 3339 in UTC
	NameServers              // list: delegated name servers, lower case, no final dot
	RegStatus                // list: EPP status codes (RFC 5731, RFC 3915)
	Rank                     // position in a popularity list, 1 is first
	FreqAverage              // how usual the name's pairs of characters are, their mean in percent: a number
	FreqWord                 // the same over all pairs together: a number
	FirstSeen                // first sighting, RFC 3339 in UTC
	LastSeen                 // last sighting, RFC 3339 in UTC
	numKeys
)

var keyNames = [numKeys]string{
	ASN: "asn", ASName: "as_name", ASDomain: "as_domain", CountryCode: "country_code", Country: "country",
	ContinentCode: "continent_code", Continent: "continent", Registry: "registry", Registrar: "registrar", Created: "created",
	Updated: "updated", Expires: "expires", NameServers: "name_servers", RegStatus: "status", Rank: "rank",
	FreqAverage: "freq_avg", FreqWord: "freq_word", FirstSeen: "first_seen", LastSeen: "last_seen",
}

var keyByName = func() map[string]Key {
	m := make(map[string]Key, numKeys)
	for k := ASN; k < numKeys; k++ {
		m[keyNames[k]] = k
	}
	return m
}()

// String is the field's canonical name, empty for None.
func (k Key) String() string {
	if k < numKeys {
		return keyNames[k]
	}
	return ""
}

// KeyOf is the Key of a canonical name, None for any other.
func KeyOf(name string) Key { return keyByName[name] }

// Keys are all canonical fields, in the order of docs/fields.md.
func Keys() []Key {
	ks := make([]Key, 0, numKeys-1)
	for k := ASN; k < numKeys; k++ {
		ks = append(ks, k)
	}
	return ks
}

// KeySet is a set of canonical fields.
type KeySet uint32

// SetOf is the set of ks.
func SetOf(ks ...Key) (set KeySet) {
	for _, k := range ks {
		set |= 1 << k
	}
	return set
}

// geographic are the fields that a special-purpose block suppresses: no country routes 192.168.0.0/16, and no AS announces it,
// whatever a database invents for it.
const geographic = 1<<ASN | 1<<ASName | 1<<ASDomain | 1<<CountryCode | 1<<Country | 1<<ContinentCode | 1<<Continent
