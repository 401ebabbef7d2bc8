package rdap

import (
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// domainAnswer is an answer as registries of generic top-level domains give it, with all that they have around the facts.
const domainAnswer = `{
 "rdapConformance": ["rdap_level_0", "icann_rdap_response_profile_1", "icann_rdap_technical_implementation_guide_1", "redacted"],
 "notices": [
  {"title": "Terms of Use", "description": ["Access is rate limited. You may not exceed the limit of queries per minute. The",
   "registry reserves the right to restrict your access; if your quota is exceeded, try again later."],
   "links": [{"rel": "terms-of-service", "href": "https://registry.test/terms", "type": "text/html", "value": "https://rdap.registry.test/domain/example.test"}]},
  {"title": "Status Codes", "description": ["For more information on domain status codes, please visit https://icann.org/epp"],
   "links": [{"rel": "glossary", "href": "https://icann.org/epp", "type": "text/html"}]}],
 "objectClassName": "domain", "handle": "D123-TEST", "ldhName": "EXAMPLE.test.", "unicodeName": "example.test",
 "links": [
  {"value": "https://rdap.registry.test/domain/example.test", "rel": "self", "href": "https://rdap.registry.test/domain/example.test", "type": "application/rdap+json"},
  {"rel": "related", "href": "https://rdap.registrar.test/v1/domain/EXAMPLE.TEST", "type": "application/rdap+json"},
  {"rel": "related", "href": "https://rdap.registrar.test/v1/domain/other.test", "type": "application/rdap+json"},
  {"rel": "related", "href": "ftp://rdap.registrar.test/domain/example.test", "type": "application/rdap+json"},
  {"rel": "related", "href": "https://registrar.test/domain/example.test", "type": "text/html"}],
 "status": ["client transfer prohibited", "clientHold", "SERVER_HOLD", "auto renew period", "active", "client hold", "locked"],
 "events": [
  {"eventAction": "registration", "eventDate": "2014-11-12T19:15:55.283Z"},
  {"eventAction": "expiration", "eventDate": "2030-11-12T20:15:55+01:00"},
  {"eventAction": "last changed", "eventDate": "2023-10-17T10:47:21Z"},
  {"eventAction": "registrar expiration", "eventDate": "2029-11-12"},
  {"eventAction": "last update of RDAP database", "eventDate": "2026-11-20 10:00:00"}],
 "secureDNS": {"delegationSigned": true, "dsData": [{"keyTag": 1, "algorithm": 13, "digestType": 2, "digest": "AA"}]},
 "port43": "WHOIS.registry.test",
 "nameservers": [
  {"objectClassName": "nameserver", "ldhName": "NS1.Example.TEST.", "status": ["active"], "ipAddresses": {"v4": ["192.0.2.1"]}},
  {"objectClassName": "nameserver", "unicodeName": "ns.bücher.test"},
  {"objectClassName": "nameserver", "ldhName": "ns1.example.test"}],
 "entities": [
  {"objectClassName": "entity", "handle": "9999", "roles": ["registrar"],
   "publicIds": [{"type": "IANA Registrar ID", "identifier": "9999"}],
   "links": [{"rel": "about", "href": "https://registrar.test", "type": "text/html"}],
   "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Example Registrar, Inc."],
    ["adr", {}, "text", ["", "", "1 Registrar Way", "Exampleton", "EX", "12345", ""]], ["email", {}, "text", "info@registrar.test"]]],
   "entities": [
    {"objectClassName": "entity", "roles": ["technical"], "vcardArray": ["vcard", [["fn", {}, "text", "The Registrar's Technician"]]]},
    {"objectClassName": "entity", "roles": ["abuse"], "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", ""],
     ["tel", {"type": ["fax"]}, "uri", "tel:+1.5555550199"], ["tel", {"type": ["voice", "work"]}, "uri", "tel:+1.5555550100;ext=7"],
     ["email", {}, "text", "abuse@registrar.test"]]]}]},
  {"objectClassName": "entity", "handle": "C1", "roles": ["registrant", "administrative"],
   "remarks": [{"title": "REDACTED FOR PRIVACY", "type": "object truncated due to authorization", "description": ["Some of the data in this object has been removed"]}],
   "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "REDACTED FOR PRIVACY"], ["org", {"type": "work"}, "text", "Example Ltd"],
    ["adr", {"cc": "CA"}, "text", ["", "Suite 1", ["2 Side Street", "Back yard"], "", "QC", "REDACTED FOR PRIVACY", "Canada"]],
    ["email", {}, "text", "Please query the RDDS service of the Registrar of Record"]]]},
  {"objectClassName": "entity", "handle": "C2", "roles": ["technical"],
   "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Tess Tech"], ["kind", {}, "text", "individual"],
    ["tel", {}, "text", "+1.5555550123"], ["email", {}, "text", "old@example.test"], ["email", {"pref": 1}, "text", "tess@example.test"]]]}],
 "redacted": [
  {"name": {"description": "Tech Phone"}, "method": "removal"},
  {"name": {"type": "Tech City"}, "method": "removal"},
  {"name": {"description": "Billing Contact"}, "prePath": "$.entities[?(@.roles[0]=='billing')]", "method": "removal"},
  {"name": {"description": "Registry Domain ID"}, "method": "removal"}]
}`

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestDecodeDomain(t *testing.T) {
	o, err := Decode([]byte(domainAnswer))
	if err != nil {
		t.Fatal(err)
	}
	held := whoisreply.Contact{
		Organization: "Example Ltd", Address: "Suite 1, 2 Side Street, Back yard", State: "QC", Country: "CA",
		Redacted: private,
	}
	held.Redacted &^= whoisreply.ContactAddress
	want := &Object{
		Class: ClassDomain, Handle: "D123-TEST", LDHName: "example.test", UnicodeName: "example.test", Port43: "whois.registry.test",
		Created: at("2014-11-12T19:15:55.283Z"), Updated: at("2023-10-17T10:47:21Z"), Expires: at("2030-11-12T19:15:55Z"),
		RegistrarExpires: at("2029-11-12T00:00:00Z"), DatabaseUpdated: at("2026-11-20T10:00:00Z"),
		Status:      []string{"clientTransferProhibited", "clientHold", "serverHold", "autoRenewPeriod", "ok", "locked"},
		NameServers: []string{"ns1.example.test", "ns.xn--bcher-kva.test"}, DNSSEC: "signedDelegation",
		Registrar: "Example Registrar, Inc.", RegistrarID: "9999", RegistrarURL: "https://registrar.test",
		Registrant: held, Admin: held,
		Tech: whoisreply.Contact{Name: "Tess Tech", Email: "tess@example.test", Phone: "+1.5555550123",
			Redacted: whoisreply.ContactCity},
		Billing: whoisreply.Contact{Redacted: allFields},
		Abuse:   whoisreply.Contact{Email: "abuse@registrar.test", Phone: "+1.5555550100x7"},
		Related: []string{"https://rdap.registrar.test/v1/domain/EXAMPLE.TEST"},
	}
	compare(t, o, want)
}

func compare(t *testing.T, got, want *Object) {
	t.Helper()
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			t.Errorf("%s = %+v, want %+v", g.Type().Field(i).Name, a, b)
		}
	}
}

// What servers get wrong, or may leave out, costs no more than itself.
func TestDecodeLenient(t *testing.T) {
	const start = `{"objectClassName":"domain","ldhName":"example.test",`
	for _, tt := range []struct {
		name, rest string
		want       Object
	}{
		{"nothing else", `"x":0}`, Object{}},
		{"one value for a list", `"status":"client hold","nameservers":{"ldhName":"ns1.example.test"}}`,
			Object{Status: []string{"clientHold"}, NameServers: []string{"ns1.example.test"}}},
		{"names for objects", `"nameservers":["NS1.example.test 192.0.2.1",7,"a/b",null,[]]}`, Object{NameServers: []string{"ns1.example.test"}}},
		{"wrong types", `"handle":{"a":[1,{"b":"}"}]},"events":"none","secureDNS":[],"entities":[1,"x",[{}]],"links":true,"port43":null}`, Object{}},
		{"a number for a string", `"handle":12345}`, Object{Handle: "12345"}},
		{"a string for a boolean", `"secureDNS":{"delegationSigned":"false"}}`, Object{DNSSEC: "unsigned"}},
		{"keys, and no word on them", `"secureDNS":{"dsData":[{"keyTag":1}]}}`, Object{DNSSEC: "signedDelegation"}},
		{"no keys", `"secureDNS":{"dsData":[]}}`, Object{}},
		{"times of no time", `"events":[{"eventAction":"registration","eventDate":"0001-01-01T00:00:00Z"},{"eventAction":"expiration","eventDate":"9999-12-31T23:59:59Z"},{"eventAction":"last changed","eventDate":"soon"}]}`, Object{}},
		{"times twice", `"events":[{"eventDate":"2001-01-01T00:00:00Z","eventAction":"Registration"},{"eventAction":"registration","eventDate":"1999-01-01T00:00:00Z"},{"eventAction":"registration","eventDate":"2005-01-01T00:00:00Z"},{"eventAction":"last changed","eventDate":"2005-01-01T00:00:00+0000"},{"eventAction":"last changed","eventDate":"2004-01-01T00:00:00Z"}]}`,
			Object{Created: at("1999-01-01T00:00:00Z"), Updated: at("2005-01-01T00:00:00Z")}},
		{"escaped names and values", `"h\u0061ndle":"a\u00e9\n\"b\\\u202eX"}`, Object{Handle: `aé "b\X`}},
		{"Latin-1", "\"handle\":\"M\xfcller\"}", Object{Handle: "M\uFFFDller"}},
		{"a registrar without a name", `"entities":[{"roles":["registrar"],"handle":"REG-TEST"}]}`, Object{Registrar: "REG-TEST"}},
		{"a registrar's number only", `"rdapConformance":["icann_rdap_response_profile_0"],"entities":[{"roles":["registrar"],"handle":"292","vcardArray":["vcard",[["fn",{},"text","R"]]]}]}`,
			Object{Registrar: "R", RegistrarID: "292"}},
		{"a handle that is a number", `"entities":[{"roles":"registrar","handle":"292","vcardArray":["vcard",[["fn",{},"text","R"]]]}]}`, Object{Registrar: "R"}},
		{"an address in lines", `"entities":[{"roles":["registrant"],"vcardArray":["vcard",[["kind",{},"text","org"],["fn",{},"text","Example Ltd"],["adr",{"label":"1 Main Street\nExampleton\\nCA"},"text",["","","","","","",""]]]]}]}`,
			Object{Registrant: whoisreply.Contact{Organization: "Example Ltd", Address: "1 Main Street, Exampleton, CA"}}},
		{"cards that are none", `"entities":[{"roles":["registrant"],"vcardArray":["vcard",[["adr"],["tel",{},"uri"],[],["email",{},"text","https://form.test"],7,["adr",{},"text","1 Main Street"]]]}]}`,
			Object{Registrant: whoisreply.Contact{Address: "1 Main Street"}}},
		{"a piece of a number", `"entities":[{"roles":["registrant"],"vcardArray":["vcard",[["tel",{},"uri","tel:+7"],["tel",{},"uri","tel:+7.5550100"]]]}]}`,
			Object{Registrant: whoisreply.Contact{Phone: "+7.5550100"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := Decode([]byte(start + tt.rest))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Class, tt.want.LDHName = ClassDomain, "example.test"
			compare(t, o, &tt.want)
		})
	}
}

func TestDecodeNumbers(t *testing.T) {
	o, err := Decode([]byte(`{"objectClassName":"ip network","handle":"NET-1","startAddress":"192.0.2.0","endAddress":"192.0.2.191",
		"name":"EXAMPLE","type":"ASSIGNED PA","country":"ch","parentHandle":"NET-0","status":["Active"],
		"cidr0_cidrs":[{"v4prefix":"198.51.100.0","length":24}],
		"entities":[{"roles":["registrant"],"vcardArray":["vcard",[["fn",{},"text","Holder"]]],
		 "entities":[{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","abuse@example.test"]]]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, o, &Object{
		Class: ClassNetwork, Handle: "NET-1", Name: "EXAMPLE", Type: "ASSIGNED PA", Country: "CH", Parent: "NET-0", Status: []string{"active"},
		Start: netip.MustParseAddr("192.0.2.0"), End: netip.MustParseAddr("192.0.2.191"),
		Prefixes:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("192.0.2.128/26")},
		Registrant: whoisreply.Contact{Name: "Holder"}, Abuse: whoisreply.Contact{Email: "abuse@example.test"},
	})
	o, err = Decode([]byte(`{"objectClassName":"ip network","cidr0_cidrs":[{"v6prefix":"2001:db8::","length":32}]}`))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, o, &Object{Class: ClassNetwork, Start: netip.MustParseAddr("2001:db8::"),
		End: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}})
	o, err = Decode([]byte(`{"objectClassName":"autnum","startAutnum":"AS64500","name":"EXAMPLE-AS","country":"CH"}`))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, o, &Object{Class: ClassAS, StartAS: 64500, EndAS: 64500, Name: "EXAMPLE-AS", Country: "CH"})
	o, err = Decode([]byte(`{"objectClassName":"entity","handle":"E1","vcardArray":["vcard",[["fn",{},"text","Example"],["email",{},"text","a@example.test"]]]}`))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, o, &Object{Class: ClassEntity, Handle: "E1", Name: "Example", Registrant: whoisreply.Contact{Name: "Example", Email: "a@example.test"}})
}

func TestDecodeFails(t *testing.T) {
	for _, in := range []string{"", "null", "[]", `"domain"`, "{", "{}", `{"a":1}{"b":2}`, "<html></html>",
		`{"objectClassName":"domain"}`, `{"objectClassName":"domain","ldhName":"a b@/"}`, `{"errorCode":404,"title":"Not Found"}`,
		`{"objectClassName":"domain","ldhName":"example.test","errorCode":404}`, `{"objectClassName":"domain","ldhName":"exam`,
		`{"objectClassName":"ip network"}`, `{"objectClassName":"ip network","startAddress":"192.0.2.9","endAddress":"192.0.2.1"}`,
		`{"objectClassName":"ip network","startAddress":"192.0.2.9","endAddress":"2001:db8::"}`, `{"objectClassName":"autnum"}`,
		`{"objectClassName":"autnum","startAutnum":4294967296}`, strings.Repeat("[", 20000)} {
		if o, err := Decode([]byte(in)); err == nil {
			t.Errorf("Decode(%.60q) = %+v, want an error", in, o)
		}
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("é", maxText)
	o, err := Decode([]byte(`{"objectClassName":"domain","ldhName":"example.test","handle":"x` + long + `","status":[` +
		strings.Repeat(`"a","b",`, 1000) + `"c"],"nameservers":[` + strings.Repeat(`{"ldhName":"ns.example.test"},`, 1000) + `{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Handle) > maxText || strings.ContainsRune(o.Handle, '\uFFFD') || len(o.NameServers) != 1 || len(o.Status) != 2 {
		t.Errorf("a handle of %d bytes, %d name servers, %d status codes", len(o.Handle), len(o.NameServers), len(o.Status))
	}
	start := time.Now()
	many := `{` + strings.Repeat(`"notices":[{"title":"limit","description":["limit\n","limit"]}],`, 15000) + `"x":1}`
	r := &reply{url: &url.URL{Path: "/domain/example.test"}, query: query{ClassDomain, "example.test"}, status: 403, body: []byte(many)}
	if _, e := r.judge(); e == nil || e.Kind != Refused || time.Since(start) > time.Second {
		t.Errorf("%v after %v", e, time.Since(start))
	}
	deep := `{"objectClassName":"domain","ldhName":"example.test","x":` + strings.Repeat(`{"entities":[`, 4000) + strings.Repeat("]}", 4000) +
		`,"entities":` + strings.Repeat(`[{"entities":`, 4000) + "0" + strings.Repeat("}]", 4000) + `}`
	if _, err := Decode([]byte(deep)); err != nil {
		t.Error(err)
	}
}

func TestURLs(t *testing.T) {
	for got, want := range map[string]string{
		DomainURL("https://rdap.test/v1/", "Example.TEST."):                 "https://rdap.test/v1/domain/example.test",
		DomainURL("https://rdap.test", "bücher.test"):                       "https://rdap.test/domain/xn--bcher-kva.test",
		DomainURL("https://rdap.test/", "a/../b?c"):                         "https://rdap.test/domain/a%2F..%2Fb%3Fc",
		IPURL("https://rdap.test/", netip.MustParsePrefix("192.0.2.1/32")):  "https://rdap.test/ip/192.0.2.1",
		IPURL("https://rdap.test/", netip.MustParsePrefix("192.0.2.1/24")):  "https://rdap.test/ip/192.0.2.0/24",
		IPURL("https://rdap.test/", netip.MustParsePrefix("2001:db8::/32")): "https://rdap.test/ip/2001:db8::/32",
		ASURL("https://rdap.test/", 4294967295):                             "https://rdap.test/autnum/4294967295",
		EntityURL("https://rdap.test/", "A B/C-TEST"):                       "https://rdap.test/entity/A%20B%2FC-TEST",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
