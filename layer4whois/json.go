package layer4whois

import (
	"encoding/json"
	"strconv"

	"github.com/whence-project/whence/enrich"
)

// jsonLine is one JSON object a record (RFC 8259), each on a line of its own that ends with LF. Errors are objects, too.
type jsonLine struct{}

func (jsonLine) Name() string { return "json" }

func (jsonLine) AppendAnswer(dst []byte, r *enrich.Record, _ int) []byte {
	return append(r.AppendJSON(dst), '\n')
}

// AppendComment appends nothing: a comment would be one more object that no reader expects.
func (jsonLine) AppendComment(dst []byte, _ string) []byte { return dst }

func (jsonLine) AppendError(dst []byte, e *Error) []byte {
	dst = strconv.AppendInt(append(dst, `{"error":`...), int64(e.Code), 10)
	text := e.Text
	if e.Detail != "" {
		text += ": " + printable(e.Detail)
	}
	quoted, _ := json.Marshal(text) // a string always has a JSON form
	dst = append(append(dst, `,"text":`...), quoted...)
	if e.Line > 0 {
		dst = strconv.AppendInt(append(dst, `,"line":`...), int64(e.Line), 10)
	}
	return append(dst, '}', '\n')
}

func (jsonLine) AppendFooter(dst []byte, _ []string) []byte { return dst }

func (jsonLine) AppendBulkEnd(dst []byte) []byte { return dst }
