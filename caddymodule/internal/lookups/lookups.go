// Package lookups answers lines with subjects in a form, for the admin API and for the command line. Asking is not seeing: nothing of
// what is asked is claimed.
package lookups

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/layer4whois"
)

// MaxLine is how long a line may be, in bytes.
const MaxLine = 4096

// Form is how answers are written. The zero value is JSON, an object a line: that of /v1/lookup.
type Form struct{ dialect layer4whois.Dialect }

// Forms are the names of the forms: json, whois for what the WHOIS server answers unless it is told otherwise, and its dialects.
func Forms() []string {
	names := []string{"json", "whois"}
	for _, d := range layer4whois.Dialects() {
		if !slices.Contains(names, d.Name()) {
			names = append(names, d.Name())
		}
	}
	return names
}

// ParseForm is the form of a name; JSON for "".
func ParseForm(name string) (Form, error) {
	if name == "" || name == "json" {
		return Form{}, nil
	}
	if name == "whois" {
		return Form{layer4whois.Dialects()[0]}, nil
	}
	if d := layer4whois.DialectByName(name); d != nil {
		return Form{d}, nil
	}
	return Form{}, fmt.Errorf("form %q; there are: %s", name, strings.Join(Forms(), ", "))
}

// JSON reports that answers are JSON.
func (f Form) JSON() bool { return f.dialect == nil }

// Asker asks a chain. It is not safe for concurrent use.
type Asker struct {
	Chain  *enrich.Chain
	Form   Form
	Query  enrich.Query // all but the subject
	Before int          // how many answers stand before the next one, for what is between two, and above the first

	rec enrich.Record
}

// Append appends the answer to a line, and reports whether something was found. A line that is no subject is answered with an error, as is
// one in whose lookup a source panics.
func (a *Asker) Append(ctx context.Context, b []byte, line string) (out []byte, found bool) {
	n := a.Before
	a.Before++
	defer func() {
		if p := recover(); p != nil {
			caddy.Log().Named("whence").Error("panic in a lookup", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			out, found = a.appendError(b, n, line, errors.New("internal error, the log has more")), false
		}
	}()
	s, err := parse(line)
	if err != nil {
		return a.appendError(b, n, line, err), false
	}
	a.Query.Subject = s
	a.Chain.Lookup(ctx, &a.Query, &a.rec)
	if a.Form.JSON() {
		return append(a.rec.AppendJSON(b), '\n'), a.rec.Found()
	}
	at := len(b)
	return unixLines(a.Form.dialect.AppendAnswer(b, &a.rec, n), at), a.rec.Found()
}

func parse(line string) (enrich.Subject, error) {
	if len(line) > MaxLine {
		return enrich.Subject{}, fmt.Errorf("longer than %d bytes", MaxLine)
	}
	s, err := enrich.ParseSubject(line)
	if refused := (*enrich.SubjectError)(nil); errors.As(err, &refused) {
		err = errors.New(refused.Reason)
	}
	return s, err
}

// appendError appends {"subject":"…","error":"…"}, or the dialect's error line.
func (a *Asker) appendError(b []byte, n int, line string, err error) []byte {
	line = strings.ToValidUTF8(line[:min(len(line), 1024)], "\uFFFD")
	if a.Form.JSON() {
		one, _ := json.Marshal(struct { // strings always have a JSON form
			Subject string `json:"subject"`
			Error   string `json:"error"`
		}{line, err.Error()})
		return append(append(b, one...), '\n')
	}
	at := len(b)
	if n > 0 {
		b = a.Form.dialect.AppendBulkEnd(b)
	}
	return unixLines(a.Form.dialect.AppendError(b, &layer4whois.Error{Code: 115, Text: "invalid search key", Detail: line + ": " + err.Error(), Line: n + 1}), at)
}

// unixLines makes line ends of the wire those of files, from at on.
func unixLines(b []byte, at int) []byte {
	return append(b[:at], bytes.ReplaceAll(b[at:], []byte("\r\n"), []byte("\n"))...)
}

// Lines are the lines of text that are not blank, without the space around them.
func Lines(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(string(line)) {
				return
			}
		}
	}
}

// together is how many lines wait at the same time.
const together = 128

// AppendAll answers lines, in their order. They wait for what must be fetched, if wait is not 0, at the same time, and each so long at
// the longest. write takes the answers as they come; notFound counts the lines about which nothing was found.
func AppendAll(ctx context.Context, a Asker, wait time.Duration, lines []string, write func([]byte) error) (notFound int, err error) {
	if wait == 0 {
		var b []byte
		for _, line := range lines {
			var found bool
			if b, found = a.Append(ctx, b[:0], line); !found {
				notFound++
			}
			if err = errors.Join(ctx.Err(), write(b)); err != nil {
				return notFound, err
			}
		}
		return notFound, nil
	}
	for part := range slices.Chunk(lines, together) {
		answers, found := make([][]byte, len(part)), make([]bool, len(part))
		var wg sync.WaitGroup
		until := time.Now().Add(wait)
		for i, line := range part {
			one := a
			one.Before += i
			one.Query.Wait = until
			wg.Go(func() { answers[i], found[i] = one.Append(ctx, nil, line) })
		}
		wg.Wait()
		a.Before += len(part)
		for i, b := range answers {
			if !found[i] {
				notFound++
			}
			if err = errors.Join(ctx.Err(), write(b)); err != nil {
				return notFound, err
			}
		}
	}
	return notFound, nil
}
