package domainstats

import (
	"net/url"
	"strings"
)

// route is what a request asks for, by its path. The words are those of the counters.
type route uint8

const (
	routeNone      route = iota // not ours
	routeDomain                 // /<domain>
	routeCreated                // /created/<domain>
	routeAlexa                  // /alexa/<domain>
	routeWhois                  // /domain/[<field>/…]<domain>
	routeMeasure                // /measure[1|2]/<string>, /<table>[1|2]/<string>
	routeNormal                 // /normal/<string>
	routeHelp                   // what the originals answer with a line of help
	routeStats                  // /stats
	routeReset                  // /stats-reset
	routeBrowse                 // /cache_browse
	routeCacheGet               // /cache_get
	routeShow                   // /showcache
	routeDepuny                 // /depuny
	routeWhoisAPI               // /WHOIS/<domain>[:<server>]
	routeWhoisList              // /WHOIS/?domain_list=…
	routeCheck                  // /check
	routeLookup                 // /v1/lookup/<subject>
	routeBulk                   // /v1/lookup
	routeContacts               // /v1/first-contacts
	routeSources                // /v1/sources
	routeOpenAPI                // /openapi.json
	numRoutes
)

var routeNames = [numRoutes]string{
	"none", "domain", "created", "alexa", "whois", "measure", "normal", "help", "stats", "stats_reset", "cache_browse", "cache_get",
	"showcache", "depuny", "whois_api", "whois_api_list", "check", "lookup", "bulk", "first_contacts", "sources", "openapi",
}

func (r route) String() string { return routeNames[r] }

// own reports that a route is not one of the originals'.
func (r route) own() bool { return r >= routeLookup }

// history reports that a route tells what this network has asked for, or changes it.
func (r route) history() bool {
	return r == routeReset || r == routeBrowse || r == routeCacheGet || r == routeShow || r == routeContacts
}

// target is what a request asks for.
type target struct {
	route  route
	number byte   // of measure: '1', '2', or 0 for both numbers
	table  string // of measure
	fields string // of whois: names between slashes, percent-encoded where raw is set
	arg    string // the domain, string or subject, percent-encoded where raw is set
	raw    bool
}

// words are the paths of one segment that are no domain.
var words = map[string]route{
	"stats": routeStats, "stats-reset": routeReset, "cache_browse": routeBrowse, "cache_get": routeCacheGet,
	"showcache": routeShow, "depuny": routeDepuny, "openapi.json": routeOpenAPI,
}

// commands are the words of format A, which stand anywhere in a path.
var commands = map[string]route{"created": routeCreated, "alexa": routeAlexa, "domain": routeWhois}

// match finds what path and query, both as they came, ask for. The order is documented: fixed words, then the words of format A
// at any place, then cmd and tgt in the query, then tables, then a domain.
func (a *API) match(path, query string) target {
	if path == "" || path[0] != '/' {
		return target{}
	}
	first, rest, more := strings.Cut(path[1:], "/")
	if !more && query == "" && strings.IndexByte(first, '.') >= 0 && first != "openapi.json" {
		return a.domain(first)
	}
	if t, ok := a.whoisAPI(first, rest, more, query); ok {
		return t
	}
	if first == "check" && !more && a.opt.Workers != nil && len(a.opt.Workers()) > 0 {
		return target{route: routeCheck}
	}
	if t, ok := fixed(first, rest, more); ok {
		return t
	}
	if t, ok := anywhere(path); ok {
		return t
	}
	if query != "" {
		if t, ok := byQuery(query); ok {
			return t
		}
	}
	if more && first != "" && rest != "" && a.opt.Score != nil {
		if table, number, ok := a.table(first); ok {
			return target{route: routeMeasure, table: table, number: number, arg: rest}
		}
	}
	if !more && first != "" {
		return a.domain(first)
	}
	return a.otherwise()
}

func (a *API) domain(segment string) target {
	if a.opt.Format == FormatA {
		return target{route: routeHelp}
	}
	return target{route: routeDomain, arg: segment, raw: true}
}

// otherwise is what a path is that nothing matches: the servers of the older formats had a line of help for it.
func (a *API) otherwise() target {
	if a.opt.Format == FormatC {
		return target{}
	}
	return target{route: routeHelp}
}

// fixed are the paths that begin with a word of ours, whatever follows.
func fixed(first, rest string, more bool) (target, bool) {
	switch first {
	case "v1":
		return versioned(rest), true
	case "measure", "measure1", "measure2":
		if more {
			return target{route: routeMeasure, number: strings.TrimPrefix(first+"\x00", "measure")[0], arg: rest}, true
		}
	case "normal":
		if more {
			return target{route: routeNormal}, true
		}
	}
	if !more {
		r, ok := words[first]
		return target{route: r}, ok
	}
	return target{}, false
}

// whoisAPI are the paths of WHOIS-API, in upper or lower case. Without a slash or a list, "whois" is a label like any other.
func (a *API) whoisAPI(first, rest string, more bool, query string) (target, bool) {
	if a.opt.Registration == nil || !strings.EqualFold(first, "whois") {
		return target{}, false
	}
	if rest != "" {
		return target{route: routeWhoisAPI, arg: rest, raw: true}, true
	}
	return target{route: routeWhoisList}, more || strings.Contains(query, "domain_list=")
}

// versioned are the paths below /v1, which is ours whole.
func versioned(rest string) target {
	switch rest {
	case "lookup":
		return target{route: routeBulk}
	case "first-contacts":
		return target{route: routeContacts}
	case "sources":
		return target{route: routeSources}
	}
	if subject, ok := strings.CutPrefix(rest, "lookup/"); ok && subject != "" {
		return target{route: routeLookup, arg: subject, raw: true}
	}
	return target{}
}

// anywhere finds the first word of format A that is a whole segment with something after it.
func anywhere(path string) (target, bool) {
	for at := 0; ; {
		i := strings.IndexByte(path[at+1:], '/')
		if i < 0 {
			return target{}, false
		}
		end := at + 1 + i
		if r, ok := commands[path[at+1:end]]; ok {
			return command(r, path[end+1:], true), true
		}
		at = end
	}
}

// byQuery reads ?cmd=…&tgt=…, in which format A and freq_server take what else is in the path.
func byQuery(query string) (target, bool) {
	v, _ := url.ParseQuery(query) // what can be read of it
	cmd, tgt := v.Get("cmd"), v.Get("tgt")
	if cmd == "" {
		return target{}, false
	}
	if tgt == "" {
		return target{route: routeHelp}, true
	}
	switch cmd {
	case "measure", "measure1", "measure2":
		return target{route: routeMeasure, number: strings.TrimPrefix(cmd+"\x00", "measure")[0], arg: tgt}, true
	case "normal":
		return target{route: routeNormal}, true
	}
	if r, ok := commands[cmd]; ok {
		return command(r, tgt, false), true
	}
	return target{route: routeHelp}, true
}

// command is a word of format A with what follows it. The domain is the last segment, the fields are those before it.
func command(r route, arg string, raw bool) target {
	t := target{route: r, arg: arg, raw: raw}
	if i := strings.LastIndexByte(arg, '/'); r == routeWhois && i >= 0 {
		t.fields, t.arg = arg[:i], arg[i+1:]
	}
	if t.arg == "" {
		return target{route: routeHelp}
	}
	return t
}

// table finds the table that a segment names, and which of its numbers.
func (a *API) table(segment string) (table string, number byte, ok bool) {
	if _, _, ok := a.opt.Score(segment, ""); ok {
		return segment, 0, true
	}
	if n := len(segment) - 1; n > 0 && (segment[n] == '1' || segment[n] == '2') {
		if _, _, ok := a.opt.Score(segment[:n], ""); ok {
			return segment[:n], segment[n], true
		}
	}
	return "", 0, false
}
