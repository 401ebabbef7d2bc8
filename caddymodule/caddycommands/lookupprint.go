package caddycommands

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/whence-project/whence/enrich"
)

// printer prints answers. What it holds back it prints in flush.
type printer interface {
	print(answer []byte) error
	flush() error
}

// plain prints answers as they are.
type plain struct{ io.Writer }

func (p plain) print(answer []byte) error {
	_, err := p.Write(answer)
	return err
}

func (plain) flush() error { return nil }

// answer is a record of /v1/lookup, or what is wrong with a line: {"subject":"…","error":"…"}. What is not shown is not decoded.
type answer struct {
	members map[string]json.RawMessage
	parts   []part
}

// part is what a source has.
type part struct {
	Source string
	Fields map[string]json.RawMessage
	Text   string
}

func read(line []byte) (a answer, err error) { return a, json.Unmarshal(line, &a.members) }

// failed reports that there is no answer.
func (a *answer) failed() bool { return a.members["error"] != nil }

// sources are what the sources have.
func (a *answer) sources() []part {
	if a.parts == nil && a.members["sources"] != nil {
		_ = json.Unmarshal(a.members["sources"], &a.parts) // what is not of that form has no fields
	}
	return a.parts
}

// field is the value of a canonical field, or of the first source that has one of that name; nil where none has.
func (a *answer) field(name string) json.RawMessage {
	if name == "notes" {
		notes := a.notes()
		if notes == "" {
			return nil
		}
		b, _ := json.Marshal(notes) // strings always have a JSON form
		return b
	}
	if v, ok := a.members[name]; ok && name != "sources" {
		return v
	}
	if enrich.KeyOf(name) != enrich.None {
		return nil // a source that has it would have set it
	}
	for _, s := range a.sources() {
		if v, ok := s.Fields[name]; ok {
			return v
		}
	}
	return nil
}

// notes are what there is to say beside the facts, in one line: what is wrong with the subject, or the beginning of a source's text, and
// what sources could not do.
func (a *answer) notes() string {
	if a.failed() {
		return textOf(a.members["error"])
	}
	var all []string
	if bytes.Contains(a.members["sources"], []byte(`"text":`)) {
		for _, s := range a.sources() {
			if first, _, _ := strings.Cut(strings.TrimSpace(s.Text), "\n"); first != "" {
				all = append(all, s.Source+": "+first)
			}
		}
	}
	var notes []struct{ Source, Text string }
	if a.members["notes"] != nil {
		_ = json.Unmarshal(a.members["notes"], &notes)
	}
	for _, n := range notes {
		all = append(all, n.Source+": "+n.Text)
	}
	return strings.Join(all, "; ")
}

// text is a field as a cell.
func (a *answer) text(name string) string { return textOf(a.field(name)) }

// textOf is a value without quotes, a list's with spaces between, without control characters.
func textOf(v json.RawMessage) string {
	var s string
	var list []json.RawMessage
	switch {
	case len(v) == 0:
		return ""
	case v[0] == '"' && json.Unmarshal(v, &s) == nil:
		return enrich.Clean(s)
	case v[0] == '[' && json.Unmarshal(v, &list) == nil:
		var all []string
		for _, one := range list {
			all = append(all, textOf(one))
		}
		return strings.Join(all, " ")
	}
	return string(v)
}

// usual are the fields that are shown where none are named, as far as there are any.
var usual = []string{"network", "asn", "as_name", "country_code", "registrar", "created", "expires", "status", "rank", "first_seen", "notes"}

// jsonLines prints JSON, an object a line; with fields, those alone.
type jsonLines struct {
	w      io.Writer
	fields []string
}

func (p *jsonLines) print(line []byte) error {
	if len(p.fields) == 0 {
		_, err := p.w.Write(line)
		return err
	}
	a, err := read(line)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(`{"subject":`)
	b.Write(a.members["subject"])
	names := p.fields
	if a.failed() {
		names = []string{"error"}
	}
	for _, name := range names {
		if v := a.field(name); v != nil && name != "subject" {
			key, _ := json.Marshal(name) // a string always has a JSON form
			b.WriteByte(',')
			b.Write(append(append(key, ':'), v...))
		}
	}
	b.WriteString("}\n")
	_, err = p.w.Write(b.Bytes())
	return err
}

func (*jsonLines) flush() error { return nil }

// csvRows prints comma-separated values (RFC 4180) below a line with the names of the fields.
type csvRows struct {
	w      *csv.Writer
	fields []string
	headed bool
}

func newCSV(w io.Writer, fields []string) *csvRows {
	if len(fields) == 0 {
		fields = usual
	}
	return &csvRows{w: csv.NewWriter(w), fields: fields}
}

func (p *csvRows) print(line []byte) error {
	a, err := read(line)
	if err != nil {
		return err
	}
	if !p.headed {
		p.headed = true
		if err := p.w.Write(append([]string{"subject"}, p.fields...)); err != nil {
			return err
		}
	}
	return p.w.Write(a.row(p.fields))
}

// row is the subject and the fields.
func (a *answer) row(fields []string) []string {
	row := []string{a.text("subject")}
	for _, name := range fields {
		row = append(row, a.text(name))
	}
	return row
}

func (p *csvRows) flush() error {
	p.w.Flush()
	return p.w.Error()
}

// table prints columns. The first rows that it is given decide which columns there are, where none are named, and how wide they are;
// wider values widen what follows.
type table struct {
	w       io.Writer
	fields  []string
	answers []answer
	widths  []int
}

func (p *table) print(line []byte) error {
	a, err := read(line)
	p.answers = append(p.answers, a)
	return err
}

func (p *table) flush() error {
	if len(p.answers) == 0 {
		return nil
	}
	var rows [][]string
	if p.widths == nil {
		p.choose()
		p.widths = make([]int, 1+len(p.fields))
		rows = append(rows, append([]string{"SUBJECT"}, p.fields...))
		for i := range rows[0] {
			rows[0][i] = strings.ToUpper(rows[0][i])
		}
	}
	for _, a := range p.answers {
		rows = append(rows, a.row(p.fields))
	}
	p.answers = p.answers[:0]
	for _, row := range rows {
		for i, cell := range row {
			p.widths[i] = max(p.widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b bytes.Buffer
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", 2+p.widths[i]-utf8.RuneCountInString(cell))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := p.w.Write(b.Bytes())
	return err
}

// choose takes the usual fields that an answer has.
func (p *table) choose() {
	if len(p.fields) > 0 {
		return
	}
	p.fields = slices.DeleteFunc(slices.Clone(usual), func(name string) bool {
		return !slices.ContainsFunc(p.answers, func(a answer) bool { return a.field(name) != nil })
	})
}
