package layer4whois

import (
	"strconv"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// cymru is the form of Team Cymru's IP to ASN service: a row a subject, in columns that its clients cut at the bars. Rows end
// with LF, as there. Allocation dates are NA, AS names are never cut short.
//
//	AS      | IP               | BGP Prefix          | CC | Registry | Allocated  | AS Name
//	15169   | 8.8.8.8          | 8.8.8.0/24          | US | NA       | NA         | Google LLC
type cymru struct {
	cols    column
	written string // the address as it was sent, which clients look for in the row; empty where it is canonical
}

// column is a set of columns and what goes with them.
type column uint8

const (
	colAS column = 1 << iota // of AS subjects only: rows of addresses always have it
	colPrefix
	colCC
	colRegistry
	colAllocated
	colName
	colHeader

	colVerbose = colAS | colPrefix | colCC | colRegistry | colAllocated | colName
)

// The columns of a single query and of a bulk query that sets none.
const (
	colsSingle = colName | colHeader
	colsBulk   = colName
)

var cymruDefault = cymru{cols: colsSingle}

// cymruOptions are the service's options: a letter for a query, a word for a line in bulk, and what it sets or clears.
var cymruOptions = []struct {
	letter     byte
	word       string
	set, clear column
}{
	{'v', "verbose", colVerbose, 0},
	{'p', "prefix", colPrefix, 0},
	{'q', "noprefix", 0, colPrefix},
	{'c', "countrycode", colCC, 0},
	{'d', "nocountrycode", 0, colCC},
	{'n', "asname", colName, 0},
	{'o', "noasname", 0, colName},
	{'r', "registry", colRegistry, 0},
	{'s', "noregistry", 0, colRegistry},
	{'a', "allocdate", colAllocated, 0},
	{'b', "noallocdate", 0, colAllocated},
	{'t', "truncate", 0, 0},
	{'t', "trunc", 0, 0},
	{'u', "notruncate", 0, 0},
	{'u', "notrunc", 0, 0},
	{'e', "header", colHeader, 0},
	{'f', "noheader", 0, colHeader},
	{'w', "asnumber", colAS, 0},
	{'x', "noasnumber", 0, colAS},
}

// letter applies the option of a letter and reports whether there is one.
func (c *cymru) letter(b byte) bool {
	for _, o := range cymruOptions {
		if o.letter == b {
			c.cols = c.cols&^o.clear | o.set
			return true
		}
	}
	return false
}

// word applies the option of a word, in any case, and reports whether there is one.
func (c *cymru) word(s string) bool {
	for _, o := range cymruOptions {
		if strings.EqualFold(o.word, s) {
			c.cols = c.cols&^o.clear | o.set
			return true
		}
	}
	return false
}

func (c *cymru) Name() string { return "cymru" }

// The widths of the columns; an IPv6 address has more room.
const (
	widthAS        = 7
	widthIPv4      = 16
	widthIPv6      = 40
	widthPrefix    = 19
	widthCC        = 2
	widthRegistry  = 8
	widthAllocated = 10
)

func (c *cymru) AppendAnswer(dst []byte, r *enrich.Record, n int) []byte {
	s := r.Subject()
	switch s.Kind() {
	case enrich.Address, enrich.Prefix:
		width := widthIPv4
		if s.Addr().Is6() {
			width = widthIPv6
		}
		if n == 0 && c.cols&colHeader != 0 {
			dst = append(pad(append(dst, "AS      | "...), "IP", width), " | "...)
			dst = c.appendHeader(dst, true)
		}
		return c.appendAddress(dst, r, width)
	case enrich.AS:
		if n == 0 && c.cols&colHeader != 0 {
			if c.cols&colAS != 0 {
				dst = append(dst, "AS      | "...)
			}
			dst = c.appendHeader(dst, false)
		}
		return c.appendAS(dst, r)
	}
	return c.AppendError(dst, errKey.with("", 1))
}

func (c *cymru) appendHeader(dst []byte, address bool) []byte {
	if address && c.cols&colPrefix != 0 {
		dst = append(dst, "BGP Prefix          | "...)
	}
	if c.cols&colCC != 0 {
		dst = append(dst, "CC | "...)
	}
	if c.cols&colRegistry != 0 {
		dst = append(dst, "Registry | "...)
	}
	if c.cols&colAllocated != 0 {
		dst = append(dst, "Allocated  | "...)
	}
	if c.cols&colName != 0 {
		dst = append(dst, "AS Name"...)
	}
	return endRow(dst)
}

func (c *cymru) appendAddress(dst []byte, r *enrich.Record, width int) []byte {
	v := valuesOf(r)
	dst = append(dst, v.as...)
	at := len(dst)
	if c.written != "" {
		dst = append(dst, c.written...)
	} else {
		dst = appendAddr(dst, r.Subject().Addr())
	}
	dst = append(padFrom(dst, at, width), " | "...)
	if c.cols&colPrefix != 0 {
		// What no AS announces has no BGP prefix, though a registry knows its block; a country-only database has networks.
		if p := r.Network(); p.IsValid() && v.known {
			at = len(dst)
			dst = padFrom(appendPrefix(dst, p), at, widthPrefix)
		} else {
			dst = pad(dst, "", widthPrefix)
		}
		dst = append(dst, " | "...)
	}
	return c.appendCommon(dst, r, v)
}

func (c *cymru) appendAS(dst []byte, r *enrich.Record) []byte {
	if c.cols&colAS != 0 {
		at := len(dst)
		dst = strconv.AppendUint(dst, uint64(r.Subject().ASN()), 10)
		dst = append(padFrom(dst, at, widthAS), " | "...)
	}
	return c.appendCommon(dst, r, valuesOf(r))
}

// values are the columns that come from databases, filled up to their width, with the bar after them.
type values struct {
	as, cc, name []byte
	known        bool // there is an AS or a country
}

var (
	cymruForm  = enrich.NewForm()
	cymruKeys  = enrich.SetOf(enrich.ASN, enrich.CountryCode, enrich.ASName)
	noneOfThem = values{as: []byte("NA      | "), cc: []byte("NA | "), name: []byte("NA")}
)

// valuesOf takes the columns from the one fragment that has them, rendered once. Where several have, they are put together.
func valuesOf(r *enrich.Record) values {
	var from *enrich.Fragment
	for _, p := range r.Parts() {
		if f := p.Fragment; f.Has(cymruKeys) && (f.Special() || r.Intact(f)) {
			if from != nil {
				return valuesIn(appendValues(nil, r))
			}
			from = f
		}
	}
	if from == nil {
		return noneOfThem
	}
	return valuesIn(from.Form(cymruForm, func(dst []byte, f *enrich.Fragment) []byte { return appendValues(dst, f) }))
}

// appendValues appends the columns, the lengths of the first two before them.
func appendValues(dst []byte, from interface{ Value(enrich.Key) string }) []byte {
	const longest = 100 // an operator's record may say anything; a column's length must fit a byte
	asn, cc := from.Value(enrich.ASN), from.Value(enrich.CountryCode)
	asn, cc = asn[:min(len(asn), longest)], cc[:min(len(cc), longest)]
	if asn == "" && cc == "" {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
	}
	at := len(dst)
	dst = append(dst, 0, 0)
	dst = append(pad(dst, strings.TrimPrefix(asn, "AS"), widthAS), " | "...)
	dst[at] = byte(len(dst) - at - 2)
	dst = append(pad(dst, cc, widthCC), " | "...)
	dst[at+1] = byte(len(dst) - at - 2)
	return pad(dst, from.Value(enrich.ASName), 0)
}

func valuesIn(b []byte) values {
	as, cc := 3+int(b[1]), 3+int(b[2])
	return values{known: b[0] != 0, as: b[3:as], cc: b[as:cc], name: b[cc:]}
}

// appendCommon appends the columns that rows of addresses and of ASes share.
func (c *cymru) appendCommon(dst []byte, r *enrich.Record, v values) []byte {
	if c.cols&colCC != 0 {
		dst = append(dst, v.cc...)
	}
	if c.cols&colRegistry != 0 {
		dst = append(pad(dst, r.Value(enrich.Registry), widthRegistry), " | "...)
	}
	if c.cols&colAllocated != 0 {
		dst = append(dst, "NA         | "...)
	}
	if c.cols&colName != 0 {
		dst = append(dst, v.name...)
	}
	return endRow(dst)
}

// pad appends a value, or NA for none, filled up to width. A bar in it would shift the columns.
func pad(dst []byte, v string, width int) []byte {
	if v == "" {
		v = "NA"
	}
	at := len(dst)
	dst = append(dst, v...)
	if strings.IndexByte(v, '|') >= 0 {
		for i := at; i < len(dst); i++ {
			if dst[i] == '|' {
				dst[i] = '/'
			}
		}
	}
	return padFrom(dst, at, width)
}

// padFrom fills what was appended from at on up to width.
func padFrom(dst []byte, at, width int) []byte {
	const blanks = "                                        "
	if n := width - (len(dst) - at); n > 0 {
		dst = append(dst, blanks[:n]...)
	}
	return dst
}

// endRow ends a row, which has no bar after its last column.
func endRow(dst []byte) []byte {
	for len(dst) > 0 && (dst[len(dst)-1] == ' ' || dst[len(dst)-1] == '|') {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '\n')
}

func (c *cymru) AppendComment(dst []byte, _ string) []byte { return dst }

// AppendError says in the service's words that a line is not understood; other errors have no words there and keep RIPE's.
func (c *cymru) AppendError(dst []byte, e *Error) []byte {
	if e.Code != errKey.Code && e.Code != errNoEntries.Code {
		return append(e.appendLine(dst), '\n')
	}
	dst = strconv.AppendInt(append(dst, "Error: no ASN or IP match on line "...), int64(max(e.Line, 1)), 10)
	return append(dst, '.', '\n')
}

func (c *cymru) AppendFooter(dst []byte, _ []string) []byte { return dst }

func (c *cymru) AppendBulkEnd(dst []byte) []byte { return dst }
