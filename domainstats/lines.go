package domainstats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"runtime/debug"
	"strconv"
	"sync"
	"unsafe"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
)

// answerLines answers the lines of a chunk and says that it is done.
func (a *API) answerLines(c *chunk) {
	defer func() { c.done <- struct{}{} }()
	c.out, c.query = c.out[:0], enrich.Query{Priority: enrich.Pipeline}
	lines := uint64(0)
	for line := range linesOf(c.in) {
		lines++
		c.out = a.appendLine(context.Background(), c.out, &c.query, &c.rec, line)
	}
	a.state.lines.Add(lines)
}

// answerWaiting is answerLines for lines that wait for what must be fetched: they do so all at once.
func (a *API) answerWaiting(ctx context.Context, c *chunk) {
	defer func() { c.done <- struct{}{} }()
	var calls []*call
	var wg sync.WaitGroup
	for line := range linesOf(c.in) {
		one := a.calls.Get().(*call)
		calls = append(calls, one)
		a.waiting <- struct{}{}
		wg.Go(func() {
			defer func() { <-a.waiting }()
			one.query = enrich.Query{Wait: c.until, Insist: true, Priority: enrich.Pipeline}
			one.buf = a.appendLine(ctx, one.buf[:0], &one.query, &one.rec, line)
		})
	}
	wg.Wait()
	c.out = c.out[:0]
	for _, one := range calls {
		c.out = append(c.out, one.buf...)
		a.keep(one)
	}
	a.state.lines.Add(uint64(len(calls)))
}

// linesOf are the lines of a chunk that are not blank, without the space around them.
func linesOf(in []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(in) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}

var errInternal = errors.New("internal error, the log has more")

// appendLine appends the answer to one line. A panic is an error of that line: outside of a handler's goroutine it would end the
// server.
func (a *API) appendLine(ctx context.Context, b []byte, q *enrich.Query, rec *enrich.Record, line []byte) (out []byte) {
	defer func() {
		if p := recover(); p != nil {
			a.opt.Logger.Error("panic in a lookup", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			out = appendLineError(b, line, errInternal)
		}
	}()
	s, err := subjectOf(line)
	if err != nil {
		return appendLineError(b, line, err)
	}
	q.Subject = s
	a.opt.Chain.Lookup(ctx, q, rec)
	return append(rec.AppendJSON(b), '\n')
}

var errLine = errors.New("longer than " + strconv.Itoa(maxLine) + " bytes")

// subjectOf reads a line: a subject as people write it, a JSON string, or a JSON object with a member "subject".
func subjectOf(line []byte) (enrich.Subject, error) {
	if len(line) > maxLine {
		return enrich.Subject{}, errLine
	}
	switch line[0] {
	case '{':
		if line[len(line)-1] != '}' {
			break
		}
		text, err := memberOf(line)
		if err != nil {
			return enrich.Subject{}, err
		}
		return enrich.ParseSubject(text)
	case '"':
		if inner := line[1 : len(line)-min(1, len(line)-1)]; isSimple(inner) {
			break // quotes are taken off below
		}
		var text string
		if err := json.Unmarshal(line, &text); err == nil {
			return enrich.ParseSubject(text)
		}
	}
	// ParseSubject keeps nothing of its argument.
	return enrich.ParseSubject(unsafe.String(&line[0], len(line)))
}

var errMember = errors.New(`want a JSON object with a member "subject" that is a string`)

// memberOf is the value of "subject". The usual form is read without decoding.
func memberOf(line []byte) (string, error) {
	if b, ok := bytes.CutPrefix(line, []byte(`{"subject":`)); ok {
		b = bytes.TrimSpace(b[:len(b)-1])
		if n := len(b); n > 2 && b[0] == '"' && b[n-1] == '"' && isSimple(b[1:n-1]) {
			return unsafe.String(&b[1], n-2), nil
		}
	}
	var v struct {
		Subject *string `json:"subject"`
	}
	if err := json.Unmarshal(line, &v); err != nil || v.Subject == nil {
		return "", errMember
	}
	return *v.Subject, nil
}

// isSimple reports that the content of a JSON string is the string.
func isSimple(b []byte) bool {
	for _, c := range b {
		if c == '"' || c == '\\' || c < 0x20 || c >= 0x80 {
			return false
		}
	}
	return true
}

// appendLineError appends the line of a subject that could not be read: what was there, and why not.
func appendLineError(b, line []byte, err error) []byte {
	reason := err.Error()
	var refused *enrich.SubjectError
	if errors.As(err, &refused) {
		reason = refused.Reason
	}
	shown := string(line[:min(len(line), 1024)])
	if line[0] == '{' && err != errMember && err != errLine {
		if text, err := memberOf(line); err == nil {
			shown = text[:min(len(text), 1024)]
		}
	}
	b = appendJSONString(append(b, `{"subject":`...), shown)
	b = appendJSONString(append(b, `,"error":`...), reason)
	return append(b, '}', '\n')
}
