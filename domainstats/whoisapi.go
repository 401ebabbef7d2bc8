package domainstats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/egress"
)

// Registration is one registration as WHOIS-API's routes show it. What is not known is zero.
type Registration struct {
	Domain string // the name that was registered, as A-labels
	Class  string // registered, available, reserved, throttled, blocked, unsupported or error
	Via    string // rdap or whois
	Server string // host that was asked
	Second string // host of the registrar that was asked after it

	Registrar   string
	Status      []string // EPP status codes, as RFC 5731 or as RFC 8056 spells them
	NameServers []string
	Created     time.Time
	Updated     time.Time
	Expires     time.Time

	RegistrantName, RegistrantOrganization, RegistrantPhone, RegistrantEmail string

	Raw         string // what Server wrote
	SecondRaw   string // what Second wrote
	Fault       Fault  // why Server gave no answer
	SecondFault Fault  // why Second gave none
	Reason      string // the same in words
}

// Fault is why a server gave no answer. The numbers are those of WHOIS-API's flags, but for their sign.
type Fault uint8

// The faults.
const (
	NoFault     Fault = iota
	Timeout           // nothing came in time
	Unreachable       // it has no address, or takes no connections; or nobody knows a server to ask
	ReadError         // the connection broke
	OtherFault        // anything else
	Refused           // what came was empty, or said that we ask too often or are banned
)

// ErrServerRefused is what [Options.Registration] returns where the client may not have that server asked.
var ErrServerRefused = errors.New("this WHOIS server is not asked on behalf of clients")

// unreadable is what WHOIS-API says to what it cannot read, in its own words: input that cannot be handled or parsed now.
const unreadable = "当前无法处理/无法解析的输入"

// between stands between what the registry wrote and what the registrar wrote.
const between = "\n##############################\n"

// whoisAnswer is an answer in WHOIS-API's form, the keys in its order.
type whoisAnswer struct {
	Domain       string   `json:"domain"`
	TLD          string   `json:"tld"`
	Flag         int      `json:"flag"`
	Status       []string `json:"domain_status"`
	Registrar    string   `json:"sponsoring_registrar"`
	TopServer    string   `json:"top_whois_server"`
	SecondServer string   `json:"sec_whois_server"`
	Name         string   `json:"reg_name"`
	Phone        string   `json:"reg_phone"`
	Email        string   `json:"reg_email"`
	Organization string   `json:"org_name"`
	Updated      string   `json:"updated_date"`
	Registered   string   `json:"reg_date"`
	Expires      string   `json:"expir_date"`
	Created      string   `json:"creation_date"`
	NameServers  []string `json:"name_server"`
	Details      string   `json:"details"`
}

type whoisError struct {
	Domain string `json:"domain"`
	Error  string `json:"error"`
}

// serveWhoisAPI answers /WHOIS/<domain> and /WHOIS/<domain>:<server>. Nothing is seen by it.
func (a *API) serveWhoisAPI(w http.ResponseWriter, r *http.Request, asked string, c *call) outcome {
	v, o := a.registrationOf(r.Context(), asked)
	c.buf = appendIndented(c.buf[:0], v, " ")
	status := http.StatusOK
	if o == refused {
		status = http.StatusForbidden
	}
	write(w, typeJSON, status, c.buf)
	return o
}

// registrationOf looks up what a client asked for, and returns a whoisAnswer or whoisError.
func (a *API) registrationOf(ctx context.Context, asked string) (any, outcome) {
	domain, server, ok := whoisTarget(asked)
	if !ok {
		return whoisError{asked[:min(len(asked), 1024)], unreadable}, invalid
	}
	ctx, cancel := context.WithTimeout(ctx, a.opt.RegistrationWait)
	defer cancel()
	reg, err := a.opt.Registration(ctx, domain, server)
	switch {
	case errors.Is(err, ErrServerRefused):
		return whoisError{asked, ErrServerRefused.Error()}, refused
	case errors.Is(err, context.DeadlineExceeded):
		reg = &Registration{Fault: Timeout, Reason: "no answer in time"}
	case err != nil:
		reg = &Registration{Fault: OtherFault, Reason: err.Error()}
	case reg == nil:
		reg = &Registration{Fault: OtherFault}
	}
	v := reg.answer(domain)
	if v.Flag < 0 {
		return v, unknown
	}
	return v, answered
}

// answer is the registration in WHOIS-API's form. What is not registered has no facts: its status says so, which no registry's own
// status of a registered name does.
func (r *Registration) answer(asked string) *whoisAnswer {
	v := &whoisAnswer{
		Domain: asked, Flag: r.flag(), Status: []string{}, TopServer: r.Server, SecondServer: r.Second, NameServers: []string{},
		Details: r.details(),
	}
	if r.Domain != "" {
		v.Domain = r.Domain
	}
	v.TLD = v.Domain[strings.LastIndexByte(v.Domain, '.')+1:]
	switch r.Class {
	case classRegistered:
		v.Registrar, v.Name, v.Phone, v.Email = r.Registrar, r.RegistrantName, r.RegistrantPhone, r.RegistrantEmail
		v.Organization = r.RegistrantOrganization
		v.Updated, v.Created, v.Expires = whoisDate(r.Updated), whoisDate(r.Created), whoisDate(r.Expires)
		v.Registered = v.Created
		v.NameServers = append(v.NameServers, r.NameServers...)
		for _, s := range r.Status {
			v.Status = append(v.Status, eppStatus(s))
		}
	case classAvailable, classReserved:
		if r.Fault == NoFault {
			v.Status = append(v.Status, r.Class)
		}
	}
	return v
}

// flag is WHOIS-API's code for how a lookup went: 1, or which of the two servers failed and how.
func (r *Registration) flag() int {
	if r.Fault != NoFault {
		return -int(r.Fault)
	}
	switch r.Class {
	case classThrottled, classBlocked:
		return -int(Refused)
	case classRegistered, classAvailable, classReserved:
	default:
		return -int(OtherFault)
	}
	if r.SecondFault != NoFault {
		return -10 - int(r.SecondFault)
	}
	return 1
}

// details is what the servers wrote, else why there is nothing.
func (r *Registration) details() string {
	switch {
	case r.SecondRaw != "":
		return r.Raw + between + r.SecondRaw
	case r.Raw != "":
		return r.Raw
	}
	return r.Reason
}

func whoisDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(dateText)
}

// eppStatuses are the status codes of RFC 5731 §2.3 and RFC 3915 §3.1 by the words that RFC 8056 has for them in RDAP.
var eppStatuses = func() map[string]string {
	m := map[string]string{"active": "ok"}
	for code := range strings.FieldsSeq("addPeriod autoRenewPeriod clientDeleteProhibited clientHold clientRenewProhibited " +
		"clientTransferProhibited clientUpdateProhibited inactive linked ok pendingCreate pendingDelete pendingRenew pendingRestore " +
		"pendingTransfer pendingUpdate redemptionPeriod renewPeriod serverDeleteProhibited serverHold serverRenewProhibited " +
		"serverTransferProhibited serverUpdateProhibited transferPeriod") {
		var words strings.Builder
		for _, c := range code {
			if c >= 'A' && c <= 'Z' {
				words.WriteByte(' ')
			}
			words.WriteRune(c)
		}
		m[strings.ToLower(words.String())] = code
	}
	return m
}()

// eppStatus is a status as EPP spells it, unchanged where it is none of EPP's.
func eppStatus(s string) string {
	if code, ok := eppStatuses[strings.ToLower(s)]; ok {
		return code
	}
	return s
}

// whoisTarget reads what a route of WHOIS-API names: a domain, and after a colon perhaps a server, as a host, host:port, an address
// or [address]:port. The server comes out in one spelling. ok is false where one of them is not what it should be.
func whoisTarget(asked string) (domain, server string, ok bool) {
	name, server, named := strings.Cut(strings.TrimSpace(asked), ":")
	if named && strings.HasPrefix(server, "//") { // a URL that was pasted
		name, server, named = asked, "", false
	}
	if len(asked) > maxArgument {
		return "", "", false
	}
	if domain = domainOf(name); !isPlain(domain) || strings.IndexByte(domain, '.') < 0 {
		return "", "", false
	}
	if !named {
		// A public suffix is registered by nobody, and the registry below it would say that it is free.
		return domain, "", enrich.DomainOf(domain).Registrable() != ""
	}
	server, ok = whoisServer(server)
	return domain, server, ok
}

func whoisServer(s string) (string, bool) {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && (i == strings.IndexByte(s, ':') || strings.HasSuffix(s[:i], "]")) {
		n, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || n == 0 {
			return "", false
		}
		host, port = s[:i], strconv.FormatUint(n, 10)
	}
	host, err := egress.ParseHost(host)
	if err != nil {
		return "", false
	}
	if port != "" {
		return net.JoinHostPort(host, port), true
	}
	return host, true
}

// appendIndented appends v as JSON, indented as Python's json.dumps does, on one line where indent is empty. Text is not escaped
// beyond what JSON needs.
func appendIndented(b []byte, v any, indent string) []byte {
	buf := bytes.NewBuffer(b)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	_ = e.Encode(v) // texts and numbers: it cannot fail
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})
}
