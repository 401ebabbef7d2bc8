package layer4whois

import (
	"testing"

	"github.com/whence-project/whence/enrich"
)

func TestParseQuery(t *testing.T) {
	const single = colsSingle
	type want struct {
		op      op
		key     string
		dialect string // "" is the server's
		cols    column
		asOnly  bool
		keep    bool
		err     string
	}
	for _, tt := range []struct {
		in   string
		want want
	}{
		// Plain keys.
		{"192.0.2.1", want{key: "192.0.2.1"}},
		{"2001:db8::1", want{key: "2001:db8::1"}},
		{"192.0.2.0 - 192.0.2.255", want{key: "192.0.2.0 - 192.0.2.255"}},
		{"AS 15169", want{key: "AS 15169"}},
		{"example.org", want{key: "example.org"}},
		{"Customer-7", want{key: "Customer-7"}},
		{"", want{op: opError, err: "%ERROR:106: no search key specified"}},

		// Debian's whois and RIPE's flags.
		{"-V Md5.6.6 192.0.2.1", want{key: "192.0.2.1"}},
		{"-VMd5.6.6 192.0.2.1", want{key: "192.0.2.1"}},
		{"-V Md5.6.6 --charset UTF-8 example.org", want{key: "example.org"}},
		{"-V Md5.6.6", want{op: opError, err: "%ERROR:106: no search key specified"}},
		{"-B -r -G -c -C -d 192.0.2.1", want{key: "192.0.2.1"}},
		{"-rBG 192.0.2.1", want{key: "192.0.2.1"}},
		{"-B -T route 192.0.2.0/24", want{key: "192.0.2.0/24"}},
		{"-x 192.0.2.0/24", want{op: opError, err: "%ERROR:111: invalid option supplied: -x"}},
		{"-K -L 192.0.2.0/24", want{op: opError, err: "%ERROR:111: invalid option supplied: -K"}},
		{"-i mnt-by EXAMPLE-MNT", want{op: opError, err: "%ERROR:111: invalid option supplied: -i"}},
		{"-rX 192.0.2.1", want{op: opError, err: "%ERROR:111: invalid option supplied: -rX"}},
		{"--list-versions AS1", want{op: opError, err: "%ERROR:111: invalid option supplied: --list-versions"}},
		{"-k", want{op: opKeep, keep: true}},
		{"-k 192.0.2.1", want{key: "192.0.2.1", keep: true}},
		{"-q version", want{op: opVersion}},
		{"-q sources", want{op: opSources}},
		{"-q types", want{op: opTypes}},
		{"-q nonsense", want{op: opError, err: "%ERROR:103: unknown object type: nonsense"}},
		{"-t route", want{op: opTemplate, key: "route"}},
		{"-v inetnum", want{op: opTemplate, key: "inetnum"}},
		{"-t nonsense", want{op: opError, err: "%ERROR:103: unknown object type: nonsense"}},
		{"--no-personal --resource 192.0.2.1", want{key: "192.0.2.1"}},
		{"help", want{op: opHelp}},
		{"?", want{op: opHelp}},
		{"-h", want{op: opHelp}},
		{"--version", want{op: opVersion}},

		// ARIN, as Debian's whois and Go libraries ask it.
		{"n + 192.0.2.1", want{key: "192.0.2.1"}},
		{"n 192.0.2.1", want{key: "192.0.2.1"}},
		{"r + = 192.0.2.0/24", want{key: "192.0.2.0/24"}},
		{"a 15169", want{key: "15169", asOnly: true}},
		{"a + AS15169", want{key: "AS15169", asOnly: true}},
		{"o EXAMPLE", want{key: "EXAMPLE"}},
		{"z + 192.0.2.1", want{key: "192.0.2.1"}},

		// Registries of names.
		{"domain example.com", want{key: "example.com"}},
		{"domain = example.com", want{key: "example.com"}},
		{"DOMAIN example.com", want{key: "example.com"}},
		{"=example.com", want{key: "example.com"}},
		{"= example.com", want{key: "example.com"}},
		{"=", want{key: "="}},
		{"domain", want{key: "domain"}},
		{"-T dn,ace example.de", want{key: "example.de"}},
		{"-T dn,ace -C ISO-8859-1 example.de", want{key: "example.de"}},
		{"-C UTF-8 -T dn,ace example.de", want{key: "example.de"}},
		{"--show-handles example.dk", want{key: "example.dk"}},
		{"--charset=utf-8 example.dk", want{key: "example.dk"}},
		{"example.jp/e", want{key: "example.jp"}},
		{"example.jp /e", want{key: "example.jp"}},
		{"192.0.2.1/e", want{key: "192.0.2.1"}},
		{"AS 2515 /e", want{key: "AS 2515"}},

		// Team Cymru.
		{"-v 192.0.2.1", want{key: "192.0.2.1", dialect: "cymru", cols: colVerbose | colHeader}},
		{"-v AS15169", want{key: "AS15169", dialect: "cymru", cols: colVerbose | colHeader}},
		{"-f -p -u 192.0.2.1", want{key: "192.0.2.1", dialect: "cymru", cols: colName | colPrefix}},
		{"-f -w -c -p as15169", want{key: "as15169", dialect: "cymru", cols: colName | colPrefix | colAS | colCC}},
		{"-p -c -r -a 192.0.2.1", want{key: "192.0.2.1", dialect: "cymru",
			cols: single | colPrefix | colCC | colRegistry | colAllocated}},
		{"-v -q -d -s -b -o -x -e 192.0.2.1", want{key: "192.0.2.1", dialect: "cymru", cols: colHeader}},
		{"-c -r 192.0.2.1", want{key: "192.0.2.1"}}, // RIPE's, for want of anything that is not
		{"--prefix --noheader 192.0.2.1", want{key: "192.0.2.1", dialect: "cymru", cols: colName | colPrefix}},
		{"begin", want{op: opBulk}},
		{"BEGIN", want{op: opBulk}},

		// Forms of answers.
		{"--json 192.0.2.1", want{key: "192.0.2.1", dialect: "json"}},
		{"-j 192.0.2.1", want{key: "192.0.2.1", dialect: "json"}},
		{"-kj 192.0.2.1", want{key: "192.0.2.1", dialect: "json", keep: true}},
		{"--aligned 192.0.2.1", want{key: "192.0.2.1", dialect: "aligned"}},
		{"--LINES 192.0.2.1", want{key: "192.0.2.1", dialect: "lines"}},
		{"--cymru 192.0.2.1", want{key: "192.0.2.1", dialect: "cymru", cols: single}},
		{"-- -x", want{key: "-x"}},
		{"-", want{key: "-"}},
	} {
		q := parseQuery(tt.in, Lines)
		got := want{op: q.op, key: q.key, asOnly: q.asOnly, keep: q.keep}
		switch {
		case q.dialect != nil:
			got.dialect = q.dialect.Name()
		case q.isCymru && q.op == opLookup:
			got.dialect, got.cols = "cymru", q.columns.cols
		}
		if q.op == opError {
			got = want{op: opError, err: q.err.Error()}
		}
		if got != tt.want {
			t.Errorf("%q\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
	if q := parseQuery("-c -r 192.0.2.1", Cymru); !q.isCymru || q.columns.cols != single|colCC|colRegistry {
		t.Errorf("letters to a server of Team Cymru's dialect: %+v", q)
	}
}

// What a query keeps must not share the buffer that it was read into.
func TestSubjectsOutliveTheBuffer(t *testing.T) {
	for _, in := range []string{"example.org", "Example.ORG", "Customer-7", "AS64496", "https://www.example.org/x"} {
		buf := []byte(in)
		q := parseQuery(text(buf), Lines)
		s, err := subjectOf(&q)
		if err != nil {
			t.Fatal(err)
		}
		want, written := s.String()+"", s.Written()+""
		wantCopy, writtenCopy := string([]byte(want)), string([]byte(written))
		clear(buf)
		if s.String() != wantCopy || s.Written() != writtenCopy {
			t.Errorf("%s became %q, %q when its buffer was used again", in, s.String(), s.Written())
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"-v 192.0.2.1", "-T dn,ace -C UTF-8 example.de", "n + = 192.0.2.1", "--json -k x/e", "-kjV a b", "=-=", "begin"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := text([]byte(s))
		for _, home := range []Dialect{Lines, Cymru} {
			switch q := parseQuery(line, home); q.op {
			case opLookup, opTemplate:
				if q.key == "" {
					t.Errorf("%q asks for nothing", s)
				}
			case opError:
				if clean := enrich.Clean(q.err.Error()); q.err.Code == 0 || clean != q.err.Error() {
					t.Errorf("%q is answered with %q", s, q.err.Error())
				}
			}
		}
	})
}
