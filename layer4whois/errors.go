package layer4whois

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/whence-project/whence/enrich"
)

// Error is an answer that is an error, by RIPE's numbers, which scripts know: "%ERROR:101: no entries found".
type Error struct {
	Code   int
	Text   string
	Detail string // what was wrong with this query, may be empty; it may hold what the client sent
	Line   int    // the line of a bulk query, from 1; 1 for a single query
}

// The errors of the protocol.
var (
	errInternal    = Error{Code: 100, Text: "internal software error"}
	errNoEntries   = Error{Code: 101, Text: "no entries found"}
	errObjectType  = Error{Code: 103, Text: "unknown object type"}
	errNoKey       = Error{Code: 106, Text: "no search key specified"}
	errLineLong    = Error{Code: 107, Text: "input line too long", Detail: "at most 1024 bytes"}
	errOption      = Error{Code: 111, Text: "invalid option supplied"}
	errKey         = Error{Code: 115, Text: "invalid search key"}
	errDenied      = Error{Code: 201, Text: "access denied"}
	errTimeout     = Error{Code: 305, Text: "connection has timed out"}
	errConnections = Error{Code: 306, Text: "too many connections"}
)

// with is e about one query: what was wrong, and on which line.
func (e Error) with(detail string, line int) *Error {
	e.Detail, e.Line = detail, line
	return &e
}

// Error is the error's line without its end.
func (e *Error) Error() string { return string(e.appendLine(nil)) }

func (e *Error) appendLine(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, "%ERROR:"...), int64(e.Code), 10)
	dst = append(append(dst, ": "...), e.Text...)
	if e.Detail != "" {
		dst = append(append(dst, ": "...), printable(e.Detail)...)
	}
	return dst
}

// maxEcho is how many bytes of what a client sent are shown, to it or in a log.
const maxEcho = 256

// printable is s as it may be shown: without control characters, valid UTF-8, and cut to maxEcho bytes.
func printable(s string) string {
	if len(s) > maxEcho {
		cut := maxEcho
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return enrich.Clean(strings.ToValidUTF8(s, "\uFFFD"))
}
