// Package annotate puts what a chain knows of the addresses and names in logs into the logs: lines of text, JSON or CSV in, the
// same lines out with annotations put in between, one for one and in order. What was there stays as it was, byte for byte. It knows
// neither Caddy nor files.
package annotate

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/whence-project/whence/enrich"
)

// The limits that an [Annotator] goes by where its options are zero.
const (
	DefaultMaxLine = 1 << 20 // bytes
	minMaxLine     = 1 << 10
	maxMaxLine     = 1 << 30
)

// Options say how logs are annotated.
type Options struct {
	// Lookup is whom to ask; it must not be nil.
	Lookup Lookup
	// Fields are those of an annotation, in order: canonical ones, [Network], or keys of a source's own. None stands for
	// [DefaultFields].
	Fields []string
	// Format is that of the logs.
	Format Format
	// In are the parts of a line that are looked at; none stands for all of them. In text they are numbers of fields, from 1, or from
	// -1 counted from the end; in JSON paths to values; in CSV names or numbers of columns. Where a part names a subject of any kind,
	// that is what is annotated, else the first address in it.
	In []string
	// Names has domain names looked for beside addresses where In is empty.
	Names bool
	// Append has the annotations of text at the end of the line, for the first subject in it, or for each of In.
	Append bool
	// Flat has the annotations of JSON lines as members of their own, and not in an object; it needs In.
	Flat bool
	// Key is that of the object; empty for [DefaultKey].
	Key string
	// Header says whether CSV has one.
	Header Header
	// Delimiter is that of CSV; 0 for a comma in CSV and a tab in TSV.
	Delimiter byte
	// MaxLine is how many bytes a line may have; a longer one passes as it is. 0 for DefaultMaxLine.
	MaxLine int
	// Summary has what is found counted; see [Annotator.Summary].
	Summary bool
	// Workers is how many goroutines annotate; 0 for as many as run at the same time.
	Workers int
}

// Annotator annotates logs, one at a time. What it has been told about one it knows for the next.
type Annotator struct {
	opt     Options
	fields  []enrich.Pick // those of the annotations, and behind them those of the summary
	shown   int
	workers []*worker

	mu     sync.Mutex // guards what follows
	counts Counts
	tally  *tally
}

// New makes an Annotator. The error says which option is wrong, as far as that can be told before a log is seen.
func New(o Options) (*Annotator, error) {
	if o.Fields == nil {
		o.Fields = DefaultFields
	}
	if o.Key == "" {
		o.Key = DefaultKey
	}
	if o.MaxLine == 0 {
		o.MaxLine = DefaultMaxLine
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	fields, err := parseFields(o.Fields)
	switch {
	case err != nil:
		return nil, err
	case len(fields) == 0:
		return nil, errors.New("no field is named that an annotation could have")
	case o.MaxLine < minMaxLine || o.MaxLine > maxMaxLine:
		return nil, fmt.Errorf("a line may have %d to %d bytes, not %d", minMaxLine, maxMaxLine, o.MaxLine)
	case slices.Contains([]byte{'"', '\n', '\r'}, o.Delimiter) || o.Delimiter >= 0x80:
		return nil, fmt.Errorf("%q cannot be between the cells of a CSV file", o.Delimiter)
	case o.Append && o.Format != Auto && o.Format != Text:
		return nil, fmt.Errorf("fields are appended to lines of text, not of %s, which has them in columns or members anyway", o.Format)
	case o.Flat && len(o.In) == 0:
		return nil, errors.New("flat fields have the names of the values that they are about: choose these, as in client_ip")
	}
	if o.Format == Text {
		_, err = newText(&o)
	} else if o.Format == JSON {
		_, err = newJSON(&o, fields)
	}
	if err != nil {
		return nil, err
	}
	a := &Annotator{opt: o, fields: fields, shown: len(fields)}
	if o.Summary {
		a.fields = slices.Concat(fields, tallied)
		a.tally = newTally()
	}
	for range o.Workers {
		w := &worker{session: o.Lookup.session(a.fields), fields: a.fields, shown: a.shown, cache: newCache(), answers: newAnswers()}
		if o.Summary {
			w.tally = newTally()
		}
		a.workers = append(a.workers, w)
	}
	return a, nil
}

// Counts are how many lines there were, and what became of them.
type Counts struct {
	Lines     int64 `json:"lines"`     // records, in CSV
	Annotated int64 `json:"annotated"` // with an annotation
	Unknown   int64 `json:"unknown"`   // with subjects of which nothing is known that was asked for
	Rejected  int64 `json:"rejected"`  // no JSON object, one that has such members already, or a record with another number of cells
	TooLong   int64 `json:"too_long"`  // longer than a line may be
	Bytes     int64 `json:"bytes"`     // read
}

func (c *Counts) add(more *Counts) {
	c.Lines += more.Lines
	c.Annotated += more.Annotated
	c.Unknown += more.Unknown
	c.Rejected += more.Rejected
	c.TooLong += more.TooLong
	c.Bytes += more.Bytes
	*more = Counts{}
}

// Counts are those of all logs so far.
func (a *Annotator) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts
}

// collect takes what a worker has counted.
func (a *Annotator) collect(w *worker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.add(&w.counts)
	if w.tally != nil {
		w.drain()
		a.tally.merge(w.tally)
		w.tally.reset()
	}
}
