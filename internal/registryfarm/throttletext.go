package registryfarm

import (
	"strconv"
	"time"
)

// ThrottleTexts are replies over WHOIS that say, in the ways that registries have, that there were too many queries. None of them says
// anything about a name, although some look as if they did.
var ThrottleTexts = [...]string{
	"%% Query rate limit exceeded\r\n",
	"% Query rate limit exceeded. Your quota will be replenished in 50 seconds.\r\n",
	"Number of allowed queries exceeded.\r\n",
	"%% Registry of example names, WHOIS server\r\n%%\r\n%% Too many requests from your address during the last hour.\r\n%% No entries found " +
		"is all you will see until then; please try again later.\r\n",
	"% Error: 77000000001 Refused; access control limit reached for your network.\r\n",
	"WHOIS LIMIT EXCEEDED - SEE THE TERMS OF THIS SERVICE FOR DETAILS\r\n",
	"Please go away for 50 seconds\r\n",
	"whois: no more than 1 request per second is allowed, try again later\r\n",
	"Your connection limit exceeded. Please slow down and try again in 50 seconds.\r\n",
	"%ERROR:301: access denied for now\r\n%\r\n% Queries of your address have been temporarily blocked: too many of them.\r\n",
	"Excessive querying, grace period of 50 seconds, still in grace period, wait.\r\n",
	"The server is busy now, please try again later.\r\n",
	"-1: Lookup quota exceeded\r\n",
	"You have exceeded the maximum number of queries per day; the domain was not found because it was not looked for.\r\n",
	"# Se ha excedido el limite: demasiadas consultas desde su direccion.\r\n",
	"Requests of this client are not permitted for a while: rate limit.\r\n",
	"Query interval is too short. Please wait a while and try again.\r\n",
	"Domain status: request denied, too many queries\r\n",
}

// throttleWords are such sentences for the JSON of RDAP: nothing in them is escaped there.
var throttleWords = [...]string{
	"Query rate limit exceeded. Your quota will be replenished in 50 seconds.",
	"You have exceeded the maximum number of queries; try again in 50 seconds.",
	"Too many requests from your address. Please slow down.",
	"Your query limit was exceeded: no more than 10 queries per minute.",
	"The query was not answered: lookup quota exceeded.",
}

// throttleText is the reply over WHOIS that tells how long to wait.
func throttleText(wait time.Duration) string {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	return "%% Query rate limit exceeded. Your quota will be replenished in " + strconv.Itoa(seconds) + " seconds.\r\n"
}

const blockedText = "% Your address is blacklisted. Access denied.\r\n"
