package layer4whois

import "github.com/whence-project/whence/enrich"

const help = `% Ask for an address, a network, a range, an AS number, a domain or a name:
%     192.0.2.1   2001:db8::/32   192.0.2.0 - 192.0.2.255   AS64496   example.org
% before it, if you like:
%     --lines, --aligned, --json (-j)     the form of the answer
%     --raw                               of a domain: what the registry's server wrote, word by word
%     -v                                  Team Cymru's form; with -p -c -r -a -n -w, or -f for no heading
%     -k                                  keep the connection open for more
% or send many, a line each, between a line "begin" and a line "end". Lines that are options (verbose, prefix, noprefix,
% countrycode, registry, allocdate, asname, asnumber, header, noheader …; lines, aligned, json) set the form of what follows.
% About the server: -q version, -q sources, -q types, -t route
`

func appendHelp(dst []byte) []byte {
	for i := range len(help) {
		if help[i] == '\n' {
			dst = append(dst, '\r')
		}
		dst = append(dst, help[i])
	}
	return dst
}

// appendTemplate appends the canonical fields in RIPE's way of describing an object type.
func appendTemplate(dst []byte) []byte {
	dst = append(dst, "route: [optional] [single]\r\n"...)
	for _, k := range enrich.Keys() {
		dst = append(append(dst, k.String()...), ": [optional] "...)
		if k == enrich.NameServers || k == enrich.RegStatus {
			dst = append(dst, "[multiple]\r\n"...)
		} else {
			dst = append(dst, "[single]\r\n"...)
		}
	}
	return append(dst, "dbstatus: [mandatory] [single]\r\n"...)
}
