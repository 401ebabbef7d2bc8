// Program likexian reads labelled WHOIS replies with github.com/likexian/whois-parser, for whoisparse to score: a JSON object a
// line comes in on standard input, what the parser made of it goes out, a line each; the last line is the time a reply took.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	whoisparser "github.com/likexian/whois-parser"
)

type reading struct {
	Class                     string
	Created, Updated, Expires time.Time
	Registrar                 string
	NameServers, Status       []string
	Microseconds              float64 `json:",omitempty"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	var took time.Duration
	n := 0
	for in.Scan() {
		var s struct{ Response string }
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			fmt.Fprintln(os.Stderr, "likexian:", err)
			os.Exit(1)
		}
		start := time.Now()
		r := read(s.Response)
		took += time.Since(start)
		n++
		out.Encode(r)
	}
	out.Encode(reading{Microseconds: float64(took.Nanoseconds()) / 1000 / float64(max(n, 1))})
}

func read(text string) (r reading) {
	info, err := whoisparser.Parse(text)
	switch {
	case errors.Is(err, whoisparser.ErrNotFoundDomain):
		r.Class = "available"
	case errors.Is(err, whoisparser.ErrReservedDomain), errors.Is(err, whoisparser.ErrBlockedDomain):
		r.Class = "reserved"
	case errors.Is(err, whoisparser.ErrDomainLimitExceed):
		r.Class = "throttled"
	case err != nil:
		r.Class = "error"
	default:
		r.Class = "registered"
	}
	if info.Registrar != nil {
		r.Registrar = info.Registrar.Name
	}
	if d := info.Domain; d != nil {
		r.NameServers, r.Status = d.NameServers, d.Status
		for to, from := range map[*time.Time]*time.Time{&r.Created: d.CreatedDateInTime, &r.Updated: d.UpdatedDateInTime,
			&r.Expires: d.ExpirationDateInTime} {
			if from != nil {
				*to = *from
			}
		}
	}
	return r
}
