package whoisreply

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// field is what a key's value tells.
type field uint8

const (
	noField field = iota
	fDomain
	fCreated
	fUpdated
	fExpires
	fRegistrar
	fRegistrarID
	fNameServer
	fStatus
	fAvailable // "Available: yes"
	fWhois
	fReferral
	fDNSSEC
	fHost   // a name server of a section of its own: "Host Name"
	fServer // a host object beside the domain's: "Server Name"
	fHandle // the handle of a contact object
	fRole   // names a contact: the value is a name or handle, or the lines after it are the contact
	fObject // begins an object that is neither the domain nor a contact
	// fields of a contact
	fName
	fOrganization
	fAddress
	fCity
	fState
	fPostalCode
	fCountry
	fEmail
	fPhone
	fGiven // the parts of a name
	fFamily
	fDescr // what the registration is, in a letter's lines: whose
	fURL   // of whoever is spoken of
)

// role is whom a part of a reply is about.
type role uint8

const (
	ofDomain role = iota
	ofRegistrar
	ofRegistrant
	ofAdmin
	ofTech
	ofBilling
	ofOther   // a set of servers or keys, a remark: nothing in it is the domain's
	ofForeign // another domain or host that the server also found
	numRoles
)

// entry is what a key means.
type entry struct {
	field   field
	role    role
	weak    bool // a word so common ("created") that it counts only where the domain is spoken of
	heading bool // opens a section even without a colon
	only    bool // opens a section, never a value's key
}

// keys are the names of fields, normal form (see normal), separated by "|". "~" marks weak keys, "=" keys that open a section where
// they stand alone in a line, "!" keys that only do that.
var keys = [...]struct {
	field field
	role  role
	names string
}{
	{fDomain, ofDomain, "domain name|=domain|domainname|domain name ascii|nom de domaine|nombre de dominio|nome de domínio|" +
		"nome de dominio|dominio|도메인이름|query|complete domain name|nombre del dominio|nom domaine|dn|idn name|domain object|" +
		"domain name utf8|nazwa domeny|domena|domaine|requested domain|ascii|nome do domínio|domain handle"},
	{fCreated, ofDomain, "creation date|date approved|domain dateregistered|created on|created date|domain create date|" +
		"domain created|domain creation date|record created|record created on|registration date|registered on|" +
		"registered date|registration time|date registered|domain registered|domain registration date|" +
		"registrar creation date|date created|~created|~registered|creation time|~activated|activation|~acivated|" +
		"activated on|activation date|domain name commencement date|commencement date|created at|create date|" +
		"registry creation date|date de creation|date de création|fecha de creación|fecha de creacion|fecha de registro|" +
		"fecha de activacion|fecha de activación|등록일|record creation date|first registration date|registered since|" +
		"connected date|entry created|data de registo|data rejestracji|data de criação|registration|domain registered on|" +
		"original created date|created on date|original creation date|domain record activated|registered at|create time|" +
		"start date|~regdate|登録年月日|date d'enregistrement|date d enregistrement|date de enregistrement|登録日|" +
		"created date time|creation|inserted|date of creation|date de création du domaine|création date|domain added|added|" +
		"date of registration|domaincreated|record activated|active since|registration created"},
	{fUpdated, ofDomain, "updated date|domain record last updated|last updated on|last updated date|" +
		"domain last updated date|record last updated|last update|record last updated on|last updated|last modified|" +
		"~updated|~changed|~modified|modified date|record last modified|record changed on|record changed|" +
		"record modified on|modification date|last modification|last update date|last update time|date updated|updated on|" +
		"date modified|last modified date|updated time|domain last updated|entry updated|last changed|last edited on|" +
		"last edited|last modified on|ultima actualizacion|ultima actualización|última actualización|derniere modification|" +
		"dernière modification|last change|최근 정보 변경일|update date|~last updated on date|record updated|record updated on|" +
		"domain updated|domain datelastmodified|date de modification|modified on|last transaction date|~updated at|" +
		"updated date time|domain modified|last modification date|registrar updated date|domain record last updated|" +
		"data da última modificação|domain last modified|~record last update|最終更新|fecha de modificacion|" +
		"fecha de modificación|dnslastupdated|update|last modified at|date last modified|last update on|" +
		"date de dernière modification|last domain update|last updated at|registry updated date|modified|" +
		"domain name last updated date"},
	{fExpires, ofDomain, "registry expiry date|date renewal|domain datebilleduntil|domain currently expires|" +
		"registrar registration expiration date|expiration date|expiry date|expires on|expires|expire date|expired date|" +
		"domain expiration date|domain expires|record expires|record expires on|record will expire on|record expired|" +
		"expiration time|date expires|paid till|renewal date|renewal|expiry|expire|expiration|validity|valid until|" +
		"valid till|valid date|exp date|expires at|expired|fecha de vencimiento|fecha de expiracion|fecha de expiración|" +
		"date d'expiration|date d expiration|사용 종료일|expiration date time|domain expire|domain expiry date|expiry on|" +
		"renew until|registrar expiration date|registry expiration date|data de expiração|data de expiracao|renewal on|" +
		"domain expires on|option expiration date|expires date|domain valid until|registered until|valid to|" +
		"registration expiration date|record expiry date|~until|date of expiration|fecha de renovacion|date de expiration|" +
		"due date|registration expires|expiration on|domain name expiration date|next renewal|有効期限|validity date|" +
		"domain paid till|expire on|data expirării|expiring date|paid until|registered till|expire time|domainexpires|" +
		"data ważności|registration expiry date|re registration due"},
	{fRegistrar, ofRegistrar, "=registrar|sponsoring registrar|registrar name|registrar organization|" +
		"registrar organisation|current registrar|current registar|registrar company|registration service provider|" +
		"registration service provided by|authorized agency|등록대행자|=last registrar|domain registrar|registrant's agent|" +
		"domain registration service provided by|~registered through|registered by|registrarname|agent name|" +
		"=registrar of record|registrar information|registrar info name|=registration agent|~registrar info|~sponsor|" +
		"agente registrador|nom registrar|registration provider|~invoicing party|~created by registrar|~=registrar contact|" +
		"registrar de registro|registrar details|~domain support|~provider|~registrar handle|~agent|~registrar agent|" +
		"~managed by|~service provider|~registra|~registrar technical contact|~maintained by registrar|organisme registrar|" +
		"~zarządca|regisrar|~registrar or account holder|=domain managers|~billing registrar|entidade gestora"},
	{fRegistrarID, ofRegistrar, "registrar iana id|sponsoring registrar iana id"},
	{fNameServer, ofDomain, "=name server|=current nameservers|primary server hostname|secondary server hostname|" +
		"third server hostname|fourth server hostname|fifth server hostname|sixth server hostname|=name servers|" +
		"=nameserver|=nameservers|nserver|nservers|=ns|dns|=dns servers|dns server|=domain servers|=domain nameservers|" +
		"=domain name servers|=servers|=server|ns list|dns name|dnsname|primary server|secondary server|tertiary server|" +
		"primary ns|secondary ns|primary name server hostname|secondary name server hostname|=dns servers in|nom serveur|" +
		"name server hostname|hostname|servidores de nombre|servidor es de nombres de dominio|" +
		"servidor de nombres de dominio|servidores de nombres de dominio|name servers dns|name server db|" +
		"=listed name servers|serveur de noms|serveurs de noms|=delegated nameservers|=authoritative name servers|" +
		"nameserver name|primary nameserver|secondary nameserver|primary dns|secondary dns|ns record|ns name|host names|" +
		"=domain dns|domain nserver|nameserver information|=nameservers information|=dns information|" +
		"=name server information|=name servers information|dns serverid|domain server|fqdn|=current name servers|" +
		"servidor dns|servidores dns|dns1|dns2|serwery dns|nserver db|domain nameserver|master dns|slave dns|" +
		"=domain name servers information|=nameserver in listed order|name server s|=nameserver list|" +
		"primary name server name|secondary name server name|ns hostname|nserver name|dns host|=dnsservers|dns hostname|" +
		"=domain servers in listed order|primary hostname|secondary hostname|dns name server|ns server|nombre del servidor|" +
		"servidor de nombre"},
	{fHost, ofDomain, "host name|호스트이름|=primary name server|=secondary name server|!1차 네임서버 정보|!2차 네임서버 정보|" +
		"primary host name"},
	{fServer, ofForeign, "server name|nameserver object"},
	{fStatus, ofDomain, "domain status|~status|query status|~ren status|~state|registration status|~epp status|eppstatus|" +
		"estado|etat|estatus del dominio|domain state|~registry status|domaintype|domain epp status|statut|status code|" +
		"status codes|current status|estado / status|domain current status|статус|状態|record status|~stato|domainstatus|" +
		"estatus|status domain|registrystatus"},
	{fAvailable, ofDomain, "available|is available|availability"},
	{fWhois, ofRegistrar, "registrar whois server|whois server|registrar whois|whois|whois service|referral server|refer|whois tcp uri|whois host|" +
		"registrar whoisserver"},
	{fReferral, ofRegistrar, "registrar url|referral url|registrar website|registrar homepage|sponsoring registrar url|" +
		"registrar web|registrar www|registrar url registration services|registrar's website"},
	{fDNSSEC, ofDomain, "domain signed|dnssec|dnssec status|dnssec signed|domain dnssec"},
	{fHandle, ofOther, "nic hdl|nic hdl br|nic handle|contact id|contact handle|handle|nic"},
	{fRole, ofRegistrant, "=registrant|=holder|=owner|=domain holder|=domain owner|holder c|owner c|=registrant contact|" +
		"=owner contact|=domain registrant|=titular|=registered for|=holder of domain name|=domain name holder|" +
		"=registrant contact information|registered to|=domain owners / registrant|=registrant contact details|" +
		"=registrant details|=registrant information|등록인|=licensee|=titular / registrant|=organisation using domain name|" +
		"=organization using domain name|=owner main contact|=holder contact|=domain holder contact|registrant handle|" +
		"registrant code|=owner information|registrant id|registrant contact id|=registrant organization information|" +
		"domain holder handle|registrant contact handle|registrant handle id|owner handle|=org contact"},
	{fRole, ofAdmin, "=admin|=administrative contact|=admin contact|admin c|=administrator|=administrative|" +
		"=adminstrative contact|=administrative contacts|=administrative contact agent|=contacto administrativo|" +
		"=administrative contact information|=contact information|=administrative contact details|=admin contacts|" +
		"=admin contact information|administrative contact ac|administrative contact code|admin contact code|책임자|=administrativ contact|=contact admin|" +
		"=contact administratif|=administrative contact(s)|=administratorius|=responsible person|=administrative details"},
	{fRole, ofTech, "=tech|=technical contact|=tech contact|tech c|=technical|=technical contacts|=contacto técnico|" +
		"=contacto tecnico|=technical contact information|=technical contact details|=tech contacts|" +
		"=tech contact information|=contact technique|=responsável técnico / tech contact|=technical contact(s)|" +
		"technical contact code|tech contact code|=zone contact|=zone c|zone c|=technical details"},
	{fRole, ofBilling, "billing contact code|=billing|=billing contact|billing c|=billing contacts|=contacto de cobranza|" +
		"=billing contact information|=billing contact details|=invoicing contact|=contacto financiero"},
	{fObject, ofOther, "nsset|keyset|!abuse contact|!key|!additional section|!domain support|!ds rdata|=reseller|=domicile|" +
		"!whois|ds list|=keys|=privacy service|=privacy|!secdns|mntner|key set|!registrar abuse contact|=trustee|" +
		"=agent contact"},
	{fName, ofDomain, "name|person|contact name|contact|personname|full name|role|nombre|nom|nome|contact person|" +
		"person name"},
	{fOrganization, ofDomain, "organization|organisation|org|organization name|organisation name|org name|company|" +
		"company name|organización|company english name|organisme|owner organization|organizacion|organizzazione|organização"},
	{fAddress, ofDomain, "address|street|street address|post address|postal address|address line|addr|registered address|" +
		"adresse|direccion|dirección|endereço|location"},
	{fCity, ofDomain, "city|postal area|town|ville|ciudad|locality|localidade"},
	{fState, ofDomain, "state|state province|stateprovince|province|county|region|state or province|registered state|sp"},
	{fPostalCode, ofDomain, "postal code|postalcode|zip|zip code|zipcode|postcode|post code|pc|code postal|zip postal code|plz|cep|código postal|codigo postal|" +
		"registered postalcode"},
	{fCountry, ofDomain, "country|country code|countrycode|country / region|country economy|country/economy|cc|pays|pais|país|" +
		"registered country"},
	{fEmail, ofDomain, "email|e mail|mail|email address|contact email|courriel|correo|e mail address|electronic mail"},
	{fPhone, ofDomain, "phone|telephone|tel|phone number|voice|voice number|telefono|teléfono|phone no|telefone|telefon"},
	{fGiven, ofDomain, "first name|given name|prénom|firstname"},
	{fFamily, ofDomain, "last name|family name|surname|lastname"},
	{fDescr, ofDomain, "descr|description"},
	{fURL, ofDomain, "url|www|website|web|homepage|web site"},
}

// roleWords are the words by which a key says whose contact it is: "registrant name", "owner-c-name", "Nom Registrant".
var roleWords = map[string]role{
	"registrant": ofRegistrant, "owner": ofRegistrant, "holder": ofRegistrant, "org": ofRegistrant, "titular": ofRegistrant,
	"등록인": ofRegistrant, "admin": ofAdmin, "administrative": ofAdmin, "adm": ofAdmin, "ac": ofAdmin, "책임자": ofAdmin,
	"administrator": ofAdmin, "tech": ofTech, "technical": ofTech, "tec": ofTech, "techical": ofTech, "zone": ofTech, "bill": ofBilling,
	"billing": ofBilling, "administratif": ofAdmin, "technique": ofTech, "administrativo": ofAdmin, "tecnico": ofTech, "técnico": ofTech, "registrar": ofRegistrar, "reseller": ofOther, "abuse": ofOther,
}

// table is keys by normal name.
var table = func() map[string]*entry {
	m := make(map[string]*entry, 800)
	for _, k := range keys {
		for name := range strings.SplitSeq(k.names, "|") {
			e := entry{field: k.field, role: k.role}
			for {
				switch {
				case strings.HasPrefix(name, "~"):
					e.weak = true
				case strings.HasPrefix(name, "="):
					e.heading = true
				case strings.HasPrefix(name, "!"):
					e.heading, e.only = true, true
				default:
					goto done
				}
				name = name[1:]
			}
		done:
			var b [maxKey]byte
			for _, name := range [...]string{name, latin1(name)} {
				if n := string(normal(b[:0], name)); n != "" && m[n] == nil {
					m[n] = &e
				}
			}
		}
	}
	return m
}()

// latin1 is s in Latin-1, which some replies are still in when they come here; "" where it has no such form.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return ""
		}
		b = append(b, byte(r))
	}
	return string(b)
}

// normal appends s in the form of the table's keys: lower case, what is in ASCII and no letter or digit one space.
func normal(b []byte, s string) []byte {
	gap := false
	for i := 0; i < len(s) && len(b) < cap(b)-1; i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= 0x80:
			if gap && len(b) > 0 {
				b = append(b, ' ')
			}
			gap = false
			n := 0
			if b, n = appendFolded(b, s[i:]); n == 0 {
				return b
			}
			i += n - 1
			continue
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			gap = true
			continue
		}
		if gap && len(b) > 0 {
			b = append(b, ' ')
		}
		gap = false
		b = append(b, c)
	}
	return b
}

// appendFolded appends the first letter of s, which is not ASCII, in lower case, and returns how many bytes it took; 0 where there is
// no room. A byte that is not UTF-8 is taken for Latin-1.
func appendFolded(b []byte, s string) ([]byte, int) {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case len(b)+utf8.UTFMax >= cap(b):
		return b, 0
	case r != utf8.RuneError:
		return utf8.AppendRune(b, unicode.ToLower(r)), n
	case s[0] >= 0xc0 && s[0] <= 0xde && s[0] != 0xd7:
		return append(b, s[0]|0x20), 1
	}
	return append(b, s[0]), 1
}

// lookup is the meaning of a key that is in the table as it stands, but for a number at its end; nil for any other.
func lookup(key string) *entry {
	var buf [maxKey]byte
	return find(normal(buf[:0], key))
}

func find(b []byte) *entry {
	if e := table[string(b)]; e != nil {
		return e
	}
	n := len(b)
	for n > 0 && (isDigit(b[n-1]) || b[n-1] == ' ') {
		n--
	}
	if n == 0 {
		return nil
	}
	if n < len(b) {
		return table[string(b[:n])]
	}
	if i := bytes.IndexByte(b, ' '); i > 1 && isDigit(b[i-1]) { // "ns1 hostname"
		n = i
		for n > 0 && isDigit(b[n-1]) {
			n--
		}
		var buf [maxKey]byte
		return table[string(append(append(buf[:0], b[:n]...), b[i:]...))]
	}
	return nil
}

// suffixes are what headings add to the name of a field.
var suffixes = [...]string{" in the listed order", " in listed order", " listed in order", " information", " details", " s", " yyyy mm dd",
	" mm dd yyyy", " dd mm yyyy", " utc", " gmt", " jst", " db"}

// resolve is the meaning of any key, as far as it has one.
func resolve(key string) (entry, bool) {
	var buf [maxKey]byte
	b := normal(buf[:0], key)
	if e := find(b); e != nil {
		return *e, true
	}
	if open := strings.IndexByte(key, '('); open > 0 { // "Servidores de nombre (Domain servers)"
		if e := lookup(key[:open]); e != nil {
			return *e, true
		}
		inner, _, _ := strings.Cut(key[open+1:], ")")
		if e := lookup(inner); e != nil {
			return *e, true
		}
	}
	if slash := strings.Index(key, " / "); slash > 0 { // the same in two languages
		if e := lookup(key[slash+3:]); e != nil {
			return *e, true
		}
		if e := lookup(key[:slash]); e != nil {
			return *e, true
		}
	}
	for _, s := range suffixes {
		if len(b) > len(s) && string(b[len(b)-len(s):]) == s {
			if e := find(b[:len(b)-len(s)]); e != nil {
				return *e, true
			}
		}
	}
	return ofRole(b)
}

// ofRole is the meaning of a key that joins whose it is and what: "registrant street", "adresse registrant".
func ofRole(b []byte) (entry, bool) {
	first, last := 0, len(b)
	for first < len(b) && b[first] != ' ' {
		first++
	}
	if first == len(b) {
		return entry{}, false
	}
	for b[last-1] != ' ' {
		last--
	}
	r, ok := roleWords[string(b[:first])]
	rest := b[first+1:]
	if !ok {
		if string(b[:first]) == "registry" || string(b[:first]) == "sponsoring" { // "Registry Admin ID"
			if e := find(rest); e != nil {
				return *e, true
			}
			return ofRole(rest)
		}
		if r, ok = roleWords[string(b[last:])]; !ok {
			return entry{}, false
		}
		rest = b[:last-1]
	}
	for _, filler := range [...]string{"c ", "contact ", "internationalized ", "s "} {
		if len(rest) > len(filler) && string(rest[:len(filler)]) == filler {
			rest = rest[len(filler):]
		}
	}
	if s := bytes.TrimSuffix(rest, []byte(" contact")); len(s) < len(rest) && len(s) > 0 { // "mail contact technique"
		rest = s
	}
	e := find(rest)
	if e == nil || e.field < fHandle || e.field == fRole {
		if r == ofRegistrar || r == ofOther || r == ofDomain {
			return entry{}, false
		}
		return entry{field: fObject, role: r, weak: true}, true // a known contact's unknown field
	}
	return entry{field: e.field, role: r}, true
}
