package iana

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana/internal/registry"
	"github.com/whence-project/whence/enrich/internal/hotstatus"
	"github.com/whence-project/whence/internal/hotfiles"
)

// File is a registry as IANA publishes it.
type File struct {
	Name  string // of the file
	URL   string // where IANA has it
	table string // that is made of it
	read  func([]byte) (registry.Table, error)
}

// MaxFile is the size in bytes above which a file of a registry is refused. The largest has 80 KB.
const MaxFile = 8 << 20

const (
	assignments = "https://www.iana.org/assignments/"
	bootstraps  = "https://data.iana.org/rdap/"

	tldTable = "tld.tsv"
	tldList  = "tlds-alpha-by-domain.txt"
	tldRDAP  = "dns.json"
)

// Files are the registries that can serve at run time. They must not be changed.
var Files = []File{
	{"ipv4-address-space.xml", assignments + "ipv4-address-space/ipv4-address-space.xml", "ipv4-address-space.tsv", registry.IPv4Space},
	{"ipv6-address-space.xml", assignments + "ipv6-address-space/ipv6-address-space.xml", "ipv6-address-space.tsv", registry.IPv6Space},
	{"iana-ipv4-special-registry.xml", assignments + "iana-ipv4-special-registry/iana-ipv4-special-registry.xml", "ipv4-special.tsv",
		registry.Special},
	{"iana-ipv6-special-registry.xml", assignments + "iana-ipv6-special-registry/iana-ipv6-special-registry.xml", "ipv6-special.tsv",
		registry.Special},
	{"ipv6.json", bootstraps + "ipv6.json", "ipv6-rdap.tsv", registry.IPv6Blocks},
	{"asn.json", bootstraps + "asn.json", "as-rdap.tsv", func(text []byte) (registry.Table, error) {
		t, _, err := registry.ASBlocks(text)
		return t, err
	}},
	{tldList, "https://data.iana.org/TLD/tlds-alpha-by-domain.txt", tldTable, func(text []byte) (registry.Table, error) {
		return registry.TLDs(tldList, text)
	}},
	{tldRDAP, bootstraps + "dns.json", tldTable, registry.TLDServers},
}

// loaded is a file that was read.
type loaded struct {
	file  *File
	path  string
	bytes int64
	registry.Table
}

// Probe reads the file of a registry at path, which may be called something else, and says what is in it.
func Probe(_ context.Context, f File, path string) (enrich.DataStatus, error) {
	l, err := f.load(path)
	if err != nil {
		return enrich.DataStatus{}, err
	}
	s := enrich.DataStatusOf(describe(l))
	s.Path = path
	return s, nil
}

// load reads the file. One with less than half of the records that are compiled in is taken for broken.
func (f *File) load(path string) (*loaded, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("larger than %d bytes", MaxFile)
	}
	t, err := f.read(text)
	if err != nil {
		return nil, err
	}
	if least := f.compiled() / 2; len(t.Rows) < least {
		return nil, fmt.Errorf("%d records, of which there should be %d at least: half of those that are compiled in", len(t.Rows), least)
	}
	return &loaded{f, path, int64(len(text)), t}, nil
}

// compiled is how many records of the registry are compiled in.
func (f *File) compiled() (n int) {
	for _, row := range compiledRows(f.table) {
		if f.Name != tldRDAP || row[2] != "-" {
			n++
		}
	}
	return n
}

// compiledLines are the lines of a table that is compiled in.
func compiledLines(table string) iter.Seq[string] {
	text, err := files.ReadFile("tables/" + table)
	if err != nil {
		panic(err)
	}
	return strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n")
}

// compiledRows are the rows of such a table as they stand in it.
func compiledRows(table string) (rows [][]string) {
	for line := range compiledLines(table) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// compiledSources are its registries, "title, date".
func compiledSources(table string) (sources []string) {
	for line := range compiledLines(table) {
		if source, ok := strings.CutPrefix(line, "# registry: "); ok {
			sources = append(sources, source)
		}
	}
	return sources
}

// hot are the options of the set of files in the folder.
func (s *Source) hot(o Options) hotfiles.Options[*loaded] {
	h := hotfiles.Options[*loaded]{
		What: "registry", Poll: o.Poll, Logger: o.Logger, Describe: describe, News: hotstatus.News(o.News),
		Load: func(_ context.Context, path string) (*loaded, error) {
			for i := range Files {
				if Files[i].Name == filepath.Base(path) {
					return Files[i].load(path)
				}
			}
			return nil, errors.New("no registry of that name") // no pattern names it
		},
		Changed: func(_ uint64, serving []hotfiles.File[*loaded]) { s.change(serving) },
	}
	for _, f := range Files {
		h.Patterns = append(h.Patterns, filepath.Join(o.Folder, f.Name))
	}
	return h
}

func describe(l *loaded) hotfiles.FileStatus {
	built, _ := time.Parse(time.DateOnly, l.Date)
	return hotfiles.FileStatus{Type: l.Title, Built: built, Records: len(l.Rows), Bytes: l.bytes}
}

// change makes the files that are there take the place of what is compiled in. What does not fit together leaves the tables as they
// are.
func (s *Source) change(serving []hotfiles.File[*loaded]) {
	var fs []*loaded
	for _, f := range serving {
		fs = append(fs, f.Data)
	}
	t, err := assemble(fs)
	if err != nil {
		text := enrich.Clean(err.Error())
		s.bad.Store(&text)
		s.log.Load().Error("registries refused; what was there serves on", zap.Error(err))
		return
	}
	s.bad.Store(nil)
	s.tables.Store(t)
}

// assemble makes tables of files and of what is compiled in.
func assemble(fs []*loaded) (t *Tables, err error) {
	// Each file is sound by itself; what they bring out together is a fault of theirs, not the end of the server.
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("the registries do not fit together: %v", p)
		}
	}()
	newer, from := make(map[string]string), make(map[string]*loaded)
	var tlds, servers *loaded
	for _, f := range fs {
		from[f.Source()] = f
		switch f.file.Name {
		case tldList:
			tlds = f
		case tldRDAP:
			servers = f
		default:
			newer[f.file.table] = tableText([]string{f.Source()}, f.Rows)
		}
	}
	if tlds != nil || servers != nil {
		newer[tldTable] = tldText(tlds, servers)
	}
	t = load(newer)
	for i := range t.data {
		if f := from[t.data[i].Type+", "+t.data[i].Built.Format(time.DateOnly)]; f != nil {
			t.data[i].Path, t.data[i].Bytes = f.path, f.bytes
		}
	}
	return t, nil
}

// tableText is a table as it is compiled in.
func tableText(sources []string, rows [][]string) string {
	var b strings.Builder
	for _, s := range sources {
		b.WriteString("# registry: " + s + "\n")
	}
	for _, row := range rows {
		b.WriteString(registry.Line(row) + "\n")
	}
	return b.String()
}

// tldText is the table of top-level domains: the list and the RDAP servers, or what is compiled in of the one that is nil, and the
// WHOIS servers that are compiled in.
func tldText(tlds, servers *loaded) string {
	names, whois, rdap := [][]string(nil), make(map[string]string), make(map[string]string)
	for _, row := range compiledRows(tldTable) {
		names = append(names, row[:1])
		whois[row[0]], rdap[row[0]] = row[1], row[2]
	}
	sources := compiledSources(tldTable)
	if tlds != nil {
		names, sources[0] = tlds.Rows, tlds.Source()
	}
	if servers != nil {
		clear(rdap)
		sources[1] = servers.Source()
		for _, row := range servers.Rows {
			rdap[row[0]] = row[1]
		}
	}
	rows := make([][]string, len(names))
	for i, name := range names {
		rows[i] = []string{name[0], whois[name[0]], rdap[name[0]]}
	}
	return tableText(sources, rows)
}
