package rdap

import (
	"strconv"
	"strings"
	"time"
)

// Kind is why there is no object.
type Kind uint8

// The kinds of errors. The zero Kind is Invalid, so that an Error nobody filled in claims nothing.
const (
	Invalid   Kind = iota // the answer is not RDAP, about something else, or that the server does not take such questions
	NotFound              // the RDAP server says that it has no such object (RFC 7480 §5.3)
	Reserved              // it says that it has no such domain, and that nobody may register it
	Doubtful              // HTTP 404, but it may not be the RDAP server that says so, or not about the object
	Throttled             // too many questions for now, see Error.RetryAfter
	Refused               // the server does not want to tell this client, or it has an address that must not be dialled
	Server                // the server is broken (HTTP 5xx)
	TooLarge              // the answer is longer than Client.MaxBody
	Redirect              // it leads round in circles, too far, or to where a client must not follow
	Timeout               // there was no answer in time
	Network               // there was no connection, or it broke
)

var kindNames = [...]string{"invalid", "not_found", "reserved", "doubtful", "throttled", "refused", "server_error", "too_large",
	"redirect", "timeout", "network"}

// String is the kind as a label: "not_found".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Invalid]
}

var kindTexts = [...]string{"no usable answer", "not found", "not found, and reserved",
	"not found, but it may not be the registry that says so", "too many queries", "refused", "the server is out of order", "the answer is too long", "a redirect that is not followed",
	"no answer in time", "no connection"}

// Error is why there is no object. Its text has neither the URL nor anything that is longer than a line.
type Error struct {
	URL    string // that was asked last
	Kind   Kind
	Status int // of HTTP; 0 where there was no answer
	// RetryAfter is how long the server wants to be left alone (RFC 9110 §10.2.3, or in words), up to 24 hours; 0 where it does
	// not tell.
	RetryAfter time.Duration
	// Title and Description are those of the error response (RFC 9083 §6), one line of at most 1,024 bytes each.
	Title, Description string
	Err                error // what went wrong below
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(kindTexts[min(int(e.Kind), len(kindTexts)-1)])
	if e.Status != 0 {
		b.WriteString(" (HTTP " + strconv.Itoa(e.Status) + ")")
	}
	for _, s := range [...]string{e.Title, e.Description} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap is what went wrong below.
func (e *Error) Unwrap() error { return e.Err }
