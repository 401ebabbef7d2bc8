// Package lists keeps what files say of names: which of them are blocked, and which addresses they have.
//
// A [Blocklist] reads lists in the forms of hosts files, names one a line, and browsers' filters, told apart line by line; a
// [Hosts] reads hosts files for their addresses. Both are exact, compact, looked up by the name as it is in a DNS message, and hot:
// the files are watched and taken in when they change, at once, and a broken one is refused while the last good one serves on.
//
// What a line of a blocklist says:
//
//	0.0.0.0 x       x is blocked, also with 127.0.0.1, ::1 and the like; several names on a line
//	x               x is blocked
//	.x, *.x         x and all below it are blocked
//	||x^            x and all below it are blocked
//	|x^             x is blocked
//	||*.x^          all below x are blocked
//	@@||x^          x and all below it are let through, whatever list blocks them
//	…$important     goes before rules without it, exceptions too
//	…$badfilter     takes back the same rule without it, in all lists
//	…$dnstype=A|~B  holds where these types are asked for, or any but these
//	…$denyallow=y|z does not hold for these names, nor below them
//	# … and ! …     comments
//
// What is about something else than names is left out and counted by its [Reason].
package lists
