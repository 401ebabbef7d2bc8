package layer4whois

import (
	"net/netip"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
)

// Outcome is how a query ended.
type Outcome uint8

// The outcomes of a query.
const (
	Found   Outcome = iota // a source other than the compiled-in registries had data
	None                   // understood, but there were no data
	Help                   // help, or a question about the server itself
	Failed                 // answered with an error: see Access.Error
	Refused                // the client was not let in: see Access.Error
	Timeout                // no line came in time
	Bulk                   // a bulk query: see Access.Lines
)

var outcomes = [...]string{"found", "none", "help", "error", "refused", "timeout", "bulk"}

// Outcomes are all outcomes.
func Outcomes() []Outcome { return []Outcome{Found, None, Help, Failed, Refused, Timeout, Bulk} }

// String is the outcome's name in the audit log: found, none, help, error, refused, timeout or bulk.
func (o Outcome) String() string { return outcomes[o] }

// Access is one entry of the audit log. It is valid during the call that it is handed to; its strings may be kept.
type Access struct {
	Time     time.Time      // when the line was complete; of a refused client, when it came
	Client   netip.AddrPort // the zero AddrPort where the client has none, as on a unix socket
	Query    string         // the line as it was sent, without control characters, cut to 256 bytes
	Subject  enrich.Subject // what was asked about: the first subject of a range, the zero Subject where there is none
	Dialect  string         // name of the dialect
	Outcome  Outcome
	Error    int           // number of the error that was sent, 0 for none
	Bytes    int           // bytes of the reply that were handed to the system
	Duration time.Duration // from Time to the end of the reply

	// Of bulk queries only:
	Lines  int // lines that were answered
	Found  int // answers with data
	Errors int // lines that were not understood
}

// report hands an entry to the audit log. The query is a view of a buffer, and copied only where there is a log.
func (c *session) report(a Access, query string) {
	if c.srv.opt.Access == nil {
		return
	}
	a.Time, a.Client = c.since, c.client
	a.Query = strings.Clone(printable(query))
	a.Duration = c.srv.opt.Now().Sub(c.since)
	c.access = a
	c.srv.opt.Access(&c.access)
}
