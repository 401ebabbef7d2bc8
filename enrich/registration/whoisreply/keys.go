package whoisreply

// keyNames are the names of a field.
type keyNames struct {
	field field
	role  role
	names string
}

// keys are the names of fields, normal form (see normal), separated by "|". "~" marks weak keys, "=" keys that open a section where
// they stand alone in a line, "!" keys that only do that.
var keys = [...]keyNames{
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
