package whoisreply

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// formats are replies of our own, one in each style that registries write.
var formats = []struct{ name, reply, want string }{
	{"ICANN's keys", `Domain Name: EXAMPLE.ORG
Registrar WHOIS Server: whois.registrar.example
Registrar URL: https://registrar.example
Updated Date: 2021-02-03T04:05:06Z
Creation Date: 2001-02-03T04:05:06.0Z
Registry Expiry Date: 2031-02-03T04:05:06Z
Registrar: Example Registrar, Inc.
Registrar IANA ID: 9999
Domain Status: clientTransferProhibited https://icann.org/epp#clientTransferProhibited
Domain Status: client update prohibited
Registrant Name: REDACTED FOR PRIVACY
Registrant Organization: Example Org
Registrant Street: 1 Example Street
Registrant Street: Floor 2
Registrant City: Exampleton
Registrant State/Province: EX
Registrant Postal Code: 12345
Registrant Country: NL
Registrant Phone: +31.205550100
Registrant Phone Ext:
Registrant Email: Please query the RDDS service of the Registrar
Admin Email: admin@example.org
Tech Name: Tess Tech
Name Server: NS1.EXAMPLE.NET
Name Server: ns2.example.net.
DNSSEC: unsigned
>>> Last update of WHOIS database: 2022-01-01T00:00:00Z <<<
`, "registered example.org 2001-02-03 2021-02-03 2031-02-03 | Example Registrar, Inc. #9999 | ns1.example.net ns2.example.net | " +
		"clientTransferProhibited clientUpdateProhibited | registrant: org=Example Org address=1 Example Street, Floor 2 city=Exampleton " +
		"state=EX postal=12345 country=NL phone=+31.205550100 redacted=201 | admin: email=admin@example.org | tech: name=Tess Tech | " +
		"whois=whois.registrar.example url=https://registrar.example dnssec=unsigned"},
	{"objects of RPSL", `% The registry
domain:       example.org
registrant:   EX1-TEST
admin-c:      EX2-TEST
registrar:    REG-EXAMPLE
nserver:      ns1.example.org [192.0.2.1 2001:db8::1]
nserver:      ns2.example.net
status:       ok
created:      03.02.2001 04:05:06
changed:      hostmaster@example.org 20210203
changed:      hostmaster@example.org 20210304
expire:       03.02.2031

person:       Erika Example
org:          Example Org
address:      1 Example Street
address:      12345 Exampleton
nic-hdl:      EX1-TEST
e-mail:       erika@example.org
created:      1.1.1999
changed:      1.1.2030

nsset:        NS-EXAMPLE
status:       linked
created:      1.1.1998
`, "registered example.org 2001-02-03 2021-03-04 2031-02-03 | REG-EXAMPLE | ns1.example.org ns2.example.net | ok | registrant: " +
		"name=Erika Example org=Example Org address=1 Example Street city=Exampleton postal=12345 email=erika@example.org"},
	{"sections with indented values", "\r\n    Domain name:\r\n        example.org\r\n\r\n    Registrant:\r\n        Example Org\r\n\r\n" +
		"    Registrar:\r\n        Example Registrar Ltd [Tag = EXAMPLE]\r\n        URL: https://registrar.example\r\n\r\n" +
		"    Relevant dates:\r\n        Registered on: 03-Feb-2001\r\n        Expiry date:  03-Feb-2031\r\n        Last updated:  03-Feb-2021\r\n\r\n" +
		"    Registration status:\r\n        Registered until expiry date.\r\n\r\n    Name servers:\r\n" +
		"        ns1.example.org   192.0.2.1  2001:db8::1\r\n        ns2.example.net\r\n",
		"registered example.org 2001-02-03 2021-02-03 2031-02-03 | Example Registrar Ltd | ns1.example.org ns2.example.net | " +
			"registered until expiry date | registrant: name=Example Org | url=https://registrar.example"},
	{"brackets and letters", `[ The registry's data base; see 'help'. ]
Domain Information:
a. [Domain Name]                EXAMPLE.ORG
g. [Organization]               Example Org
p. [Name Server]                ns1.example.net
p. [Name Server]                ns2.example.net
[State]                         Connected (2031/02/28)
[Registered Date]               2001/02/03
[Last Update]                   2021/02/03 12:05:06 (JST)
`, "registered example.org 2001-02-03 2021-02-03 2031-02-28 | | ns1.example.net ns2.example.net | connected | registrant: org=Example Org"},
	{"bracketed sections", `[Domain]
Domain: example.org
Status: active
Changed: 2021-02-03T04:05:06.789+03:00

[Holder]
Type: Legal person
Name: Example Org
Email: info@example.org

[Registrar]
Name: Example Registrar

[Nservers]
Nserver: ns1.example.net

[Whois]
Updated: 2029-01-01T00:00:00+00:00
`, "registered example.org - 2021-02-03 - | Example Registrar | ns1.example.net | active | registrant: name=Example Org email=info@example.org"},
	{"dotted leaders", "Domain Name............: example.org\nCreated on..............: Sat, Feb 03, 2001\nRegistrar:..........Example Registrar\n\n" +
		"Nameservers\n\nPrimary server.........: ns1.example.net\nPrimary ip address.....: 192.0.2.1\nSecondary server.......: ns2.example.net\n" +
		"Domain status : clientHold -\n                clientRenewProhibited -\n",
		"registered example.org 2001-02-03 - - | Example Registrar | ns1.example.net ns2.example.net | clientHold clientRenewProhibited"},
	{"spaced leaders", "Nom de domaine#. . . . . . . . . . .example.org\nRegistrar#. . . . . . . . . . . . . Example Registrar\n" +
		"Date de creation#. . . . . . . . . .03/02/2001\n", "registered example.org 2001-02-03 - - | Example Registrar | |"},
	{"columns without a colon", "Domain-name         example.org\nAdmin-email         admin@example.org\ndns_name            ns1.example.net\n" +
		"Last-update         2021-02-03\nValid-date          2031-02-03\nDomain-status       DOM_OK\n",
		"registered example.org - 2021-02-03 2031-02-03 | | ns1.example.net | dom_ok | admin: email=admin@example.org"},
	{"sentences", "Domain EXAMPLE.ORG\n\nRecord created: Sat Feb  3 04:05:06 2001\nRecord last updated on Wed Feb  3 04:05:06 2021\n" +
		"Record expires on Mon Feb  3 04:05:06 2031\n\nName servers in the listed order:\n\nNS1.EXAMPLE.NET\nNS2.EXAMPLE.NET 192.0.2.2\n\nThank you\n",
		"registered example.org 2001-02-03 2021-02-03 2031-02-03 | | ns1.example.net ns2.example.net |"},
	{"month first, as another date shows", "Domain name:\n   EXAMPLE.ORG\n\nDomain registered: 02/18/2001\nRecord will expire on: 02/03/2031\n" +
		"Name Server: ns1.example.net\n", "registered example.org 2001-02-18 - 2031-02-03 | | ns1.example.net |"},
	{"RWhois", "domain:Class-Name:domain\ndomain:Domain-Name:example.org\ndomain:Created:20010203\ndomain:Updated:20210203\n",
		"registered example.org 2001-02-03 2021-02-03 - | | |"},
	{"YAML", "--- #YAML:1.0\n--- !Domain\nname: example.org\nstatus: ACTIVE\ncreated: \"2001-02-03T04:05:06+01:00\"\nname_servers:\n" +
		"- ns1.example.net\n- ns2.example.net\nregistrar: !Registrar\n  name: Example Registrar\n",
		"registered example.org 2001-02-03 - - | Example Registrar | ns1.example.net ns2.example.net | active"},
	{"zone file", "Nome de domínio / Domain Name: example.org\nData de registo / Creation Date (dd/mm/yyyy): 03/02/2001\nEstado / Status: ACTIVE\n" +
		"Nameserver: example.org\tNS\tns1.example.net.\n", "registered example.org 2001-02-03 - - | | ns1.example.net | active"},
	{"Spanish", "   Nombre de Dominio: example.org\n\n   Fecha de Vencimiento: 2031-02-03 00:00:00\n   Ultima Actualización: 2021-02-03 00:00:00\n" +
		"   Fecha de Creación: 2001-02-03 00:00:00\n\n   Estatus del dominio: ACTIVO\n\n   Servidor(es) de Nombres de Dominio:\n\n   - ns1.example.net\n",
		"registered example.org 2001-02-03 2021-02-03 2031-02-03 | | ns1.example.net | activo"},
	{"Korean, then English", "도메인이름                  : example.org\n등록일                      : 2001. 02. 03.\n등록대행자                  : 예시\n" +
		"1차 네임서버 정보\n   호스트이름               : ns1.example.net\n\nDomain Name                 : example.org\n" +
		"Registered Date             : 2001. 02. 03.\nAuthorized Agency           : Example Registrar(https://registrar.example)\n" +
		"Primary Name Server\n   Host Name                : ns1.example.net\n   IP Address               : 192.0.2.1\n",
		"registered example.org 2001-02-03 - - | Example Registrar | ns1.example.net | | url=https://registrar.example"},
	{"registry and hosts of other people", "   Server Name: EXAMPLE.ORG.EVIL.EXAMPLE\n   Registrar: EVIL REGISTRAR\n   Whois Server: whois.evil.example\n\n" +
		"   Domain Name: EXAMPLE.ORG\n   Registrar: GOOD REGISTRAR\n   Name Server: NS1.EXAMPLE.NET\n   Status: ok\n   Creation Date: 03-feb-2001\n",
		"registered example.org 2001-02-03 - - | GOOD REGISTRAR | ns1.example.net | ok"},
	{"another record before the one asked for", "Domain Name: example-too.org\nRegistrar: Other\nName Server: ns9.example.net\nCreated: 1999-01-01\n\n" +
		"Domain Name: example.org\nRegistrar: Mine\nName Server: ns1.example.net\nCreated: 2001-02-03\n",
		"registered example.org 2001-02-03 - - | Mine | ns1.example.net |"},
	{"pairs", "whoisd V1.1\nexample ns1.example.net\nexample ns2.example.net\n", "registered  - - - | | ns1.example.net ns2.example.net |"},
	{"numbered keys", "domain: example.org\ndate_approved: 2001-02-03 04:05:06\ndate_renewal: 2031-02-03\nns1_hostname: ns1.example.net\n" +
		"ns1_netaddress: 192.0.2.1\nns2_hostname: ns2.example.net\n", "registered example.org 2001-02-03 - 2031-02-03 | | ns1.example.net ns2.example.net |"},
	{"status codes of a system", "query_datetime: 2029-01-01T00:00:00+12:00\ndomain_name: example.org\nquery_status: 200 Active\n" +
		"domain_dateregistered: 2001-02-03T12:00:00+13:00\nregistrar_name: Example Registrar\nns_name_01: ns1.example.net\n",
		"registered example.org 2001-02-02 - - | Example Registrar | ns1.example.net | 200 active"},
	{"letters instead of keys", "Domain Name: example.org\nRegistrar: Example Registrar\n\nRegistrant:\n   Example Org\n   1 Example Street\n   Exampleton\n" +
		"   info@example.org\n   +31 20 555 0100\n\nTechnical Contact:\n   Tess Tech (tess@example.net)\n   2 Example Street\n",
		"registered example.org - - - | Example Registrar | | | registrant: name=Example Org address=1 Example Street, Exampleton " +
			"email=info@example.org phone=+31 20 555 0100 | tech: name=Tess Tech address=2 Example Street email=tess@example.net"},
	{"the registrar's limit beside the registry's answer", "Domain Name: EXAMPLE.ORG\nRegistrar: Example Registrar\nCreation Date: 2001-02-03T04:05:06Z\n\n" +
		"You have exceeded your quota of queries. Try again in 60 seconds.\n", "registered example.org 2001-02-03 - - | Example Registrar | |"},
	{"Latin-1", "domain: example.org\ndescr: Caf\xe9 d'Exemple\nregistrar: Soci\xe9t\xe9 Exemple\ncreated: 2001-02-03\n",
		"registered example.org 2001-02-03 - - | Soci\xe9t\xe9 Exemple | | | registrant: name=Caf\xe9 d'Exemple"},
	{"broken off", "Domain Name: EXAMPLE.ORG\nCreation Date: 2001-02-03T04:05:06Z\nRegistrar WHOIS Server: whois.regis",
		"registered example.org 2001-02-03 - - | | | | whois=whois.regis"},
}

func TestFormats(t *testing.T) {
	for _, tt := range formats {
		r := Parse(tt.reply, "EXAMPLE.org.")
		if got := summary(&r); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// summary is a reply in a line.
func summary(r *Reply) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", r.Class, r.Domain)
	for _, at := range []time.Time{r.Created, r.Updated, r.Expires} {
		if at.IsZero() {
			b.WriteString(" -")
		} else {
			b.WriteString(at.Format(" 2006-01-02"))
		}
	}
	fmt.Fprintf(&b, " | %s", r.Registrar)
	if r.RegistrarID != "" {
		fmt.Fprintf(&b, " #%s", r.RegistrarID)
	}
	s := strings.TrimSuffix(b.String(), " ")
	for _, list := range [][]string{r.NameServers, r.Status} {
		s = strings.TrimSuffix(s+" | "+strings.Join(list, " "), " ")
	}
	for _, c := range []struct {
		name string
		*Contact
	}{{"registrant", &r.Registrant}, {"admin", &r.Admin}, {"tech", &r.Tech}, {"billing", &r.Billing}} {
		if *c.Contact == (Contact{}) {
			continue
		}
		s += " | " + c.name + ":"
		for i, v := range []string{c.Name, c.Organization, c.Address, c.City, c.State, c.PostalCode, c.Country, c.Email, c.Phone} {
			if v != "" {
				s += " " + strings.Fields("name org address city state postal country email phone")[i] + "=" + v
			}
		}
		if c.Redacted != 0 {
			s += fmt.Sprintf(" redacted=%o", c.Redacted)
		}
	}
	rest := ""
	for name, v := range map[string]string{"whois": r.WhoisServer} {
		if v != "" {
			rest += " " + name + "=" + v
		}
	}
	if r.ReferralURL != "" {
		rest += " url=" + r.ReferralURL
	}
	if r.DNSSEC != "" {
		rest += " dnssec=" + r.DNSSEC
	}
	if rest != "" {
		s += " |" + rest
	}
	return s
}

func TestClasses(t *testing.T) {
	terms := "\n\nBy submitting a query you agree to these terms. Access is rate limited, and clients that exceed the limit are\n" +
		"blocked. Reserved names are not found here. All rights reserved.\n"
	for _, tt := range []struct {
		reply string
		class Class
		wait  time.Duration
	}{
		{"", Error, 0},
		{"\r\n\r\n", Error, 0},
		{"Internal error 17\n", Error, 0},
		{"No match for \"EXAMPLE.ORG\".\n", Available, 0},
		{"% No entries found for the selected source(s).\n" + terms, Available, 0},
		{"NOT FOUND" + terms, Available, 0},
		{"Domain Name: example.org\nDomain Status: No Object Found\n" + terms, Available, 0},
		{"Domain: example.org\nStatus: free\n", Available, 0},
		{"example.org is free\n", Available, 0},
		{"domain_name: example.org\nquery_status: 220 Available\n", Available, 0},
		{"Available: Yes\nDomain Name: example.org\n", Available, 0},
		{"El dominio no se encuentra registrado en NIC Ejemplo\n", Available, 0},
		{"query : example.org\n\n상기 도메인이름은 등록되어 있지 않습니다.\n", Available, 0},
		{"Reserved by Registry\n" + terms, Reserved, 0},
		{"Restricted\n", Reserved, 0},
		{"Domain: example.org\nStatus: RESERVED\n", Reserved, 0},
		{"Sorry, the domain you requested is in the reserved list.\n", Reserved, 0},
		{"Domain: example.org\nStatus: NOT AVAILABLE\n", Reserved, 0},
		{"Domain: example.org\nStatus: NOT AVAILABLE\nRegistered: Sat Feb 3 2001\n", Registered, 0},
		{"You have exceeded your quota of queries.\n", Throttled, 0},
		{"%% Too many requests...\n%%\n%% No entries found in the Example Database.\n", Throttled, 0},
		{"Error for \"example.org\".\n\nThe WHOIS query quota for 192.0.2.1 has been exceeded\nand will be replenished in 50 seconds.\n", Throttled, 50 * time.Second},
		{"Please go away for 13 Seconds\n", Throttled, 13 * time.Second},
		{"only 1 request per second allowed, try again later\n", Throttled, time.Second},
		{"Please maintain at least 10-second time before starting another enquiry.", Throttled, 10 * time.Second},
		{"Still in grace period, wait 5 minutes", Throttled, 5 * time.Minute},
		{"WHOIS LIMIT EXCEEDED\nNo match for example.org\n", Throttled, 0},
		{"domain_name: example.org\nquery_status: 440 Request Denied\n", Throttled, 0},
		{"Your IP has been blacklisted. Write to abuse desk.\n", Blocked, 0},
		{"Access denied\n", Blocked, 0},
		{"TLD is not supported.\n", Unsupported, 0},
		{"Invalid query\n", Unsupported, 0},
	} {
		if r := Parse(tt.reply, "example.org"); r.Class != tt.class || r.Wait != tt.wait {
			t.Errorf("%q: %v, wait %v; want %v, %v", tt.reply, r.Class, r.Wait, tt.class, tt.wait)
		}
	}
}

func TestClassNames(t *testing.T) {
	if Registered.String() != "registered" || Unsupported.String() != "unsupported" || Class(99).String() != "error" {
		t.Error("classes have other names")
	}
}
