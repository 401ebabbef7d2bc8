package annotate

import (
	"bytes"
	"context"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

func TestCSV(t *testing.T) {
	for _, tt := range []struct {
		name      string
		o         Options
		log, want string
		rejected  int64
	}{
		{"header, by name", Options{In: []string{"ip"}}, "id,ip\n1,8.8.8.8\n2,\n3,127.0.0.1\n", "id,ip,ip_asn,ip_country_code\n1,8.8.8.8,AS15169,US\n2,,,\n3,127.0.0.1,,\n", 0},
		{"by number", Options{In: []string{"2", "1"}, Fields: []string{"asn"}}, "8.8.8.8,9.9.9.9\n-,62.1.1.1", "8.8.8.8,9.9.9.9,AS19281,AS15169\n-,62.1.1.1,AS1680,", 0},
		{"columns with addresses", Options{}, "when,src,n,dst,note\n1,8.8.8.8,5,[2001:4860::1]:53,9.9.9.9\n2,9.9.9.9,5,-,see 9.9.9.9\n",
			"when,src,n,dst,note,src_asn,src_country_code,dst_asn,dst_country_code\n1,8.8.8.8,5,[2001:4860::1]:53,9.9.9.9,AS15169,US,AS15169,US\n2,9.9.9.9,5,-,see 9.9.9.9,AS19281,CH,,\n", 0},
		{"quotes, CRLF, empty lines", Options{In: []string{"ip"}, Fields: []string{"as_name"}}, "\"a \"\"b\"\"\",ip\r\n\"x,\r\ny\",\"9.9.9.9\"\r\n\r\n,8.8.8.8",
			"\"a \"\"b\"\"\",ip,ip_as_name\r\n\"x,\r\ny\",\"9.9.9.9\",\"Quad9 \"\"DNS\"\"\"\r\n\r\n,8.8.8.8,Google LLC", 0},
		{"records that are broken", Options{In: []string{"ip"}}, "ip,b\n8.8.8.8,x\"y\n8.8.8.8\n\"8.8.8.8\"z,\n8.8.8.8,1,2\n8.8.8.8,\"\n8.8.8.8,1\n",
			"ip,b,ip_asn,ip_country_code\n8.8.8.8,x\"y\n8.8.8.8\n\"8.8.8.8\"z,\n8.8.8.8,1,2\n8.8.8.8,\"\n8.8.8.8,1,AS15169,US\n", 5},
		{"no header", Options{Header: HeaderNo, In: []string{"1"}, Fields: []string{"rank"}}, "example.org,x\nexample.com,y\n", "example.org,x,17\nexample.com,y,\n", 0},
		{"header of addresses", Options{Header: HeaderYes, In: []string{"2"}, Fields: []string{"asn"}}, "1,8.8.8.8\n2,9.9.9.9\n", "1,8.8.8.8,8.8.8.8_asn\n2,9.9.9.9,AS19281\n", 0},
		{"byte order mark", Options{In: []string{"ip"}, Fields: []string{"asn"}}, "\uFEFFip,x\n8.8.8.8,1\n", "\uFEFFip,x,ip_asn\n8.8.8.8,1,AS15169\n", 0},
		{"semicolons", Options{Delimiter: ';', Fields: []string{"asn", "as_name"}}, "ip;\"n;o\"\n8.8.8.8;1\n", "ip;\"n;o\";ip_asn;ip_as_name\n8.8.8.8;1;AS15169;Google LLC\n", 0},
		{"lists", Options{In: []string{"ip"}, Fields: []string{"rfc"}}, "ip,x\n10.0.0.1,\n", "ip,x,ip_rfc\n10.0.0.1,,RFC 1918\n", 0},
		{"a header alone", Options{In: []string{"ip"}}, "ip,x", "ip,x,ip_asn,ip_country_code", 0},
		{"a URL", Options{In: []string{"url"}, Fields: []string{"rank", "asn"}}, "url,x\nhttps://example.org/?8.8.8.8,\n", "url,x,url_rank,url_asn\nhttps://example.org/?8.8.8.8,,17,\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Format = CSV
			a := mustNew(t, tt.o)
			if got := annotated(t, a, "log", tt.log); got != tt.want {
				t.Errorf("%q\n got %q\nwant %q", tt.log, got, tt.want)
			}
			if n := a.Counts().Rejected; n != tt.rejected {
				t.Errorf("%d records rejected, want %d", n, tt.rejected)
			}
		})
	}
}

func TestCSVErrors(t *testing.T) {
	for _, tt := range []struct {
		o         Options
		log, want string
	}{
		{Options{Format: CSV, In: []string{"client"}}, "ip,b\n8.8.8.8,1\n", `a.csv has no column "client": it has 2, ip, b`},
		{Options{Format: CSV, In: []string{"3"}}, "ip,b\n8.8.8.8,1\n", `a.csv has no column "3"`},
		{Options{Format: CSV}, "host,b\nexample.org,1\n", `no column of a.csv holds addresses in its first 2 records: name the column, as in --in "host"`},
	} {
		err := mustNew(t, tt.o).Annotate(context.Background(), Log{Name: "a.csv", In: strings.NewReader(tt.log), Out: new(bytes.Buffer)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.log, err, tt.want)
		}
	}
}

// TestQuoteThatNothingCloses has one in the middle of a long file: the record it is in is lost, and no more.
func TestQuoteThatNothingCloses(t *testing.T) {
	log := "ip,b\n" + strings.Repeat("8.8.8.8,x\n", 20_000) + "8.8.8.8,\"x\n" + strings.Repeat("8.8.8.8,x\n", 20_000)
	a := mustNew(t, Options{Format: CSV, Fields: []string{"asn"}})
	got := annotated(t, a, "log", log)
	want := strings.ReplaceAll(strings.ReplaceAll(log, "8,x\n", "8,x,AS15169\n"), "b\n", "b,ip_asn\n")
	if c := a.Counts(); got != want || c.Rejected != 1 || c.Lines != 40_002 || c.Annotated != 40_000 {
		t.Errorf("%d bytes, want %d; %+v", len(got), len(want), c)
	}
}

// FuzzCSV holds the reading of records against encoding/csv, and annotated files against what they were made of.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"a,b\n1,8.8.8.8\n", "\"a\"\"b\",\"c\nd\"\r\n8.8.8.8,2\r\n", "a\"b,c\n1,2\n", "\"a\"b,c\n", "\"a\n", ",\n,\n", "\r\n\n1,8.8.8.8", "\"\"\r,1\n", "a,\"b\r\n",
	} {
		f.Add([]byte(s))
	}
	chain := enrich.NewChain("", enrich.Link{Name: "plan", Source: newPlan()})
	a := mustNew(f, Options{Lookup: Local(chain), Format: CSV, In: []string{"1"}, Header: HeaderNo, Workers: 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRecord(t, b)
		var out bytes.Buffer
		if err := a.Annotate(context.Background(), Log{In: bytes.NewReader(b), Out: &out}); err != nil {
			t.Fatal(err)
		}
		got := out.Bytes()
		if bytes.Count(got, []byte("\n")) != bytes.Count(b, []byte("\n")) {
			t.Fatalf("%q became %q", b, got)
		}
		for _, added := range []string{",AS15169,US", ",AS19281,CH", ",AS1680,", ",,"} {
			got, b = bytes.ReplaceAll(got, []byte(added), nil), bytes.ReplaceAll(b, []byte(added), nil)
		}
		if got, b = bytes.ReplaceAll(got, []byte(","), nil), bytes.ReplaceAll(b, []byte(","), nil); !bytes.Equal(got, b) {
			t.Fatalf("%q was not left as it was in %q", b, got)
		}
	})
}

// checkRecord reads the first record with encoding/csv, too.
func checkRecord(t *testing.T, b []byte) {
	if line, n := cutLine(b); len(line) == 0 || bytes.IndexByte(b, '\r') >= 0 && !bytes.Contains(b[:n], []byte("\r\n")) {
		return // it skips empty lines; and a CR elsewhere it may take for a line end
	}
	var cells []cell
	n, s := readRecord(b, ',', &cells)
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord = -1
	want, err := r.Read()
	if (err == nil) != (s == whole) {
		t.Fatalf("%q is read as %v, by encoding/csv with %v", b, s, err)
	}
	if err != nil {
		return
	}
	got := make([]string, len(cells))
	for i, c := range cells {
		got[i] = strings.ReplaceAll(string(unquote(b[c.from:c.to])), "\r\n", "\n")
	}
	if !slices.Equal(got, want) || r.InputOffset() != int64(n) {
		t.Fatalf("%q is %q and %d bytes, by encoding/csv %q and %d", b, got, n, want, r.InputOffset())
	}
}
