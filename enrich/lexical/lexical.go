// Package lexical is the source of the enrichment chain that looks at a name itself: how usual its pairs of characters are
// (the scores of freq), how long and how even its label is, what it is in Unicode, whether it mixes scripts, and which ASCII name
// it looks like. Nothing is looked up; any string can be scored.
package lexical

import (
	"context"
	_ "embed"
	"hash/maphash"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/internal/hotstatus"
	"github.com/whence-project/whence/internal/hotfiles"
	"github.com/whence-project/whence/internal/kept"
)

// The scores below which a name is suspect by the table that is compiled in: of 3,328 registrable domains in real use 6.1 % are
// below both and 12.7 % below either; of random letters 67 and 88 %. docs/lexical.md has the others, TestCalibration finds them.
const (
	DefaultAvgAlert  = 6.0
	DefaultWordAlert = 5.5
)

// The scores below which domain_stats says so by its table freqtable2018.freq, to be used with that.
const (
	PublishedAvgAlert  = 5.0
	PublishedWordAlert = 4.0
)

// DefaultTable is the name of the table that the chain's fields are made with. It is the one that is compiled in, unless the
// options have a file for it.
const DefaultTable = "default"

//go:embed default.freq
var compiledIn []byte

var defaultTable = sync.OnceValue(func() *Table {
	t, err := ParseTable(compiledIn)
	if err != nil {
		panic("lexical: the table that is compiled in: " + err.Error())
	}
	return t
})

// Score scores any string, a label alone as well as a name, with the table that is compiled in. See [Table.Score].
func Score(s string) (avg, word float64) { return defaultTable().Score(s) }

// Options say what a [Source] scores with.
type Options struct {
	// Tables are files in the .freq format by the names they are asked for. The one called [DefaultTable], if there is one,
	// takes the place of what is compiled in, also while it is missing: scores of another table would mean something else.
	Tables map[string]string
	// Poll is how often the files are looked at where the file system does not notify; 0 for the default of 30 s.
	Poll time.Duration
	// Logger hears what is loaded and refused; nil for none. See SetLogger.
	Logger *zap.Logger
	// News hears of each file that is taken in after those that Open found, and of each that is refused, which has an Error. It must
	// not block. nil for nobody.
	News func(enrich.DataStatus)
}

// Source scores names. It implements [enrich.Source], [enrich.Opener], [enrich.Closer] and [enrich.Reporter].
type Source struct {
	names map[string][]string // of tables, by file
	files *hotfiles.Set[*file]
	state atomic.Pointer[state]
}

// state is what answers between two changes of the tables.
type state struct {
	tables map[string]*Table
	origin *enrich.Origin
	kept   *kept.Cache[string, *enrich.Fragment]
}

// keepBits says how many names' fragments are kept.
const keepBits = 12

// New makes a source. It reads nothing before Open.
func New(o Options) *Source {
	s := &Source{names: make(map[string][]string)}
	for _, name := range slices.Sorted(maps.Keys(o.Tables)) {
		path := o.Tables[name]
		s.names[path] = append(s.names[path], name)
	}
	paths := slices.Sorted(maps.Keys(s.names))
	s.files = hotfiles.New(hotfiles.Options[*file]{
		What: "table", Patterns: paths, Poll: o.Poll, Logger: o.Logger, Load: loadFile, Describe: describe,
		News: hotstatus.News(o.News),
		Changed: func(_ uint64, serving []hotfiles.File[*file]) {
			loaded := make(map[string]*file)
			for _, f := range serving {
				for _, name := range s.names[paths[f.Pattern]] {
					loaded[name] = f.Data
				}
			}
			s.swap(loaded)
		},
	})
	s.swap(nil)
	return s
}

// swap makes these tables the ones that answer.
func (s *Source) swap(loaded map[string]*file) {
	st := &state{tables: make(map[string]*Table), origin: &enrich.Origin{Source: "lexical", Name: "lexical", Baseline: true}}
	if !s.replaced() {
		st.tables[DefaultTable] = defaultTable()
	}
	for name, f := range loaded {
		st.tables[name] = f.table
	}
	st.kept = kept.New[string, *enrich.Fragment](keepBits)
	s.state.Store(st)
}

// replaced reports whether a file takes the place of the table that is compiled in.
func (s *Source) replaced() bool {
	for _, names := range s.names {
		if slices.Contains(names, DefaultTable) {
			return true
		}
	}
	return false
}

// SetLogger replaces the logger, as a source outlives the configuration that brought it. It may be called at any time; nil
// stands for none.
func (s *Source) SetLogger(l *zap.Logger) { s.files.SetLogger(l) }

// Open loads the tables and begins to watch them. It fails only for patterns that are malformed.
func (s *Source) Open(context.Context) error { return s.files.Open() }

// Refresh looks at the files now, and forgets the tables whose files are gone: what a reload of the configuration means for a
// source that outlives it. Call it after Open.
func (s *Source) Refresh() { s.files.Refresh() }

// RefreshNow is Refresh that reads also the files that look as they did. Its error says of each that does not serve as it is now why;
// where none serves, what is missing.
func (s *Source) RefreshNow(context.Context) error { return s.files.Reread() }

// Close stops watching. What is loaded answers until the source is let go of. It is idempotent.
func (s *Source) Close() error { return s.files.Close() }

// Status says which tables are loaded, the one that is compiled in included, and what went wrong.
func (s *Source) Status() enrich.Status {
	st := hotstatus.Of("lexical", s.files.Status())
	if !s.replaced() {
		d := enrich.DataStatusOf(describe(&file{table: defaultTable()}))
		st.Records += d.Records
		st.Data = slices.Insert(st.Data, 0, d)
	}
	return st
}

// Tables are the names of the tables that are configured, "default" among them, whether they are loaded or not.
func (s *Source) Tables() []string {
	all := []string{DefaultTable}
	for _, names := range s.names {
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Score scores any string with a table, "" for the default one. It is not ok if there is no such table, or none yet.
func (s *Source) Score(table, str string) (avg, word float64, ok bool) {
	if table == "" {
		table = DefaultTable
	}
	t := s.state.Load().tables[table]
	if t == nil {
		return 0, 0, false
	}
	avg, word = t.Score(str)
	return avg, word, true
}

var seed = maphash.MakeSeed()

// Add adds what can be said of a domain's registrable part, or of a word.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	kind := q.Subject.Kind()
	if kind != enrich.Domain && kind != enrich.Name || !q.Wants(enrich.SetOf(enrich.FreqAverage, enrich.FreqWord)) {
		return enrich.Next
	}
	st, name := s.state.Load(), q.Subject.Name()
	hash := maphash.String(seed, name)
	if f, ok := st.kept.Get(hash, name); ok {
		r.Attach(f, netip.Prefix{})
		return enrich.Next
	}
	f := st.find(name, q.Registrable())
	st.kept.Put(hash, strings.Clone(name), f)
	r.Attach(f, netip.Prefix{})
	return enrich.Next
}

// find is the fragment of a name that is not kept; the one of its registrable domain, if that says all. registrable is empty for
// what cannot be registered.
func (st *state) find(name, registrable string) *enrich.Fragment {
	if registrable == "" {
		registrable = name
	}
	if registrable == name || hasALabel(name) {
		return st.fragment(name, registrable)
	}
	hash := maphash.String(seed, registrable)
	if f, ok := st.kept.Get(hash, registrable); ok {
		return f
	}
	f := st.fragment(registrable, registrable)
	st.kept.Put(hash, strings.Clone(registrable), f)
	return f
}

// fragment says what can be said of name, whose part to score is registrable.
func (st *state) fragment(name, registrable string) *enrich.Fragment {
	b := enrich.NewBuilder(st.origin).Grow(4)
	if t := st.tables[DefaultTable]; t != nil {
		avg, word := t.Score(registrable)
		number(b, "freq_avg", enrich.FreqAverage, avg)
		number(b, "freq_word", enrich.FreqWord, word)
	}
	i := idnOf(name)
	label := registrable
	if i.unicode != "" && i.unicode != name {
		// The registrable domain has as many labels in either form.
		label = lastLabels(i.unicode, 1+strings.Count(registrable, "."))
	}
	label, _, _ = strings.Cut(label, ".")
	length, entropy := shannon(label)
	number(b, "label_length", enrich.None, float64(length))
	number(b, "label_entropy", enrich.None, round4(entropy))
	i.add(b, name)
	return b.Build()
}

func number(b *enrich.Builder, key string, canon enrich.Key, v float64) {
	text := decimal(v)
	b.Add(enrich.Field{Key: key, Value: text, Canon: canon, Type: enrich.Number}).Canonical(canon, text)
}

// decimal is a number of at most four decimals as text: strconv would search for what is known.
func decimal(v float64) string {
	if v >= 1e9 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	n := uint64(v*1e4 + 0.5)
	var a [24]byte
	b := strconv.AppendUint(a[:0], n/1e4, 10)
	if n %= 1e4; n > 0 {
		b = append(b, '.', byte('0'+n/1000), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return string(b)
}

// lastLabels is the end of a name that has n labels.
func lastLabels(name string, n int) string {
	at := len(name)
	for ; n > 0 && at >= 0; n-- {
		at = strings.LastIndexByte(name[:at], '.')
	}
	return name[at+1:]
}

// shannon is the length of a label in characters, and its entropy in bits a character: 0 where all are the same, log2(length)
// where all are different.
func shannon(label string) (length int, entropy float64) {
	var ascii [utf8.RuneSelf]uint16
	var others map[rune]int
	for _, r := range label {
		length++
		if r < utf8.RuneSelf {
			ascii[r]++
			continue
		}
		if others == nil {
			others = make(map[rune]int)
		}
		others[r]++
	}
	if length == 0 {
		return 0, 0
	}
	// Σ p·log2(1/p) with p = n/length is log2(length) - Σ n·log2(n) / length, in which what occurs once has no part.
	repeated := 0.0
	for i := range len(label) {
		if c := label[i]; c < utf8.RuneSelf && ascii[c] > 1 {
			repeated += float64(ascii[c]) * math.Log2(float64(ascii[c]))
			ascii[c] = 0
		}
	}
	for _, n := range others {
		repeated += float64(n) * math.Log2(float64(n))
	}
	return length, max(0, math.Log2(float64(length))-repeated/float64(length))
}

// Interface guards.
var (
	_ enrich.Source    = (*Source)(nil)
	_ enrich.Opener    = (*Source)(nil)
	_ enrich.Closer    = (*Source)(nil)
	_ enrich.Reporter  = (*Source)(nil)
	_ enrich.Refresher = (*Source)(nil)
)
