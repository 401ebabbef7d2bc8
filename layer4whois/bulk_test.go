package layer4whois

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

const (
	row8      = "15169   | 8.8.8.8          | Google LLC\n"
	row8v     = "15169   | 8.8.8.8          | 8.8.8.0/24          | US | NA       | NA         | Google LLC\n"
	row127v   = "NA      | 127.0.0.1        | NA                  | NA | NA       | NA         | NA\n"
	greeting  = "Bulk mode; whence [2026-11-21 10:46:53 +0000]\n"
	noMatchOn = "Error: no ASN or IP match on line %d.\n"
)

func noon() time.Time { return time.Date(2026, 11, 21, 10, 46, 53, 0, time.UTC) }

func TestBulk(t *testing.T) {
	_, addr := start(t, Options{Now: noon})
	for _, tt := range []struct {
		name, in string
		half     bool
		want     string
	}{
		{"plain", "begin\n8.8.8.8\nend\n", false, row8},
		{"upper case, CR LF", "BEGIN\r\nVERBOSE\r\n8.8.8.8\r\nEND\r\n", false, row8v},
		{"several options in one line's place", "begin\r\nPREFIX\nASNUMBER\nCOUNTRYCODE\nNOTRUNC\r\n8.8.8.8\r\nend\r\n", false,
			"15169   | 8.8.8.8          | 8.8.8.0/24          | US | Google LLC\n"},
		{"CR", "begin\rverbose\r8.8.8.8\rend\r", false, row8v},
		{"no end but the input's", "begin\nverbose\n8.8.8.8\n127.0.0.1", true, row8v + row127v},
		{"header", "begin\nheader\nverbose\n8.8.8.8\n8.8.8.8\nend\n", false,
			"AS      | IP               | BGP Prefix          | CC | Registry | Allocated  | AS Name\n" + row8v + row8v},
		{"options change on the way", "begin\n8.8.8.8\nverbose\n8.8.8.8\nnoprefix\nnocountrycode\nnoregistry\nnoallocdate\n8.8.8.8\n", true,
			row8 + row8v + row8},
		{"only prefixes", "begin\nprefix\nnoasname\nnoheader\nnoallocdate\nnoregistry\nnoasnumber\nnocountrycode\n8.8.8.8\nend\n", false,
			"15169   | 8.8.8.8          | 8.8.8.0/24\n"},
		{"lines that are none", "begin\nverbose\nwww.example.org\n\nnonsense\n010.0.0.1\n8.8.8.8\nend\n", false,
			fmt.Sprintf(noMatchOn+noMatchOn+noMatchOn, 3, 5, 6) + row8v},
		{"AS numbers", "begin\nverbose\nAS64496\n64496\nas64497\nend\n", false,
			strings.Repeat("64496   | DE | ripencc  | NA         | Example AS\n", 2) + "64497   | NA | NA       | NA         | NA\n"},
		{"a time stamp after the address", "begin\n8.8.8.8 2026-11-21 10:46:53 GMT\nend\n", false, row8},
		{"a network", "begin\nprefix\n8.8.8.0/24\nend\n", false, "15169   | 8.8.8.0          | 8.8.8.0/24          | Google LLC\n"},
		{"full records", "begin\nlines\n8.8.8.8\nexample.org\nCustomer-7\nnothing\nend\n", false,
			unixLines(articleAnswer) + "\nregistrar: Example Registrar\ncreated: 1995-08-14T04:00:00Z\ndbstatus: ok - data found\n\n" +
				"Customer:\tseven\n\n\n%ERROR:101: no entries found\n"},
		{"JSON", "begin\njson\nexample.net\n127.0.0.300\ncymru\n8.8.8.8\nend\n", false,
			`{"subject":"example.net","kind":"domain","sources":[]}` + "\n*\n" + row8},
		{"what follows the end", "begin\n8.8.8.8\nend\n8.8.8.8\n", false, row8},
		{"a line too long", "begin\n8.8.8.8\n" + strings.Repeat("x", 2000) + "\n8.8.8.8\n", false,
			row8 + "%ERROR:107: input line too long: at most 1024 bytes\n"},
		{"nothing", "begin\nend\n", false, ""},
	} {
		got := unixLines(exchange(t, addr, tt.in, tt.half))
		if i := strings.Index(got, `{"error"`); i >= 0 && strings.Contains(tt.want, "*") { // the reason is the parser's
			got = got[:i] + "*" + got[i+strings.IndexByte(got[i:], '\n'):]
		}
		if got != greeting+tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, greeting+tt.want)
		}
	}
}

// A client that writes a line and waits for its answer, as python-cymruwhois does, must get it.
func TestBulkInteractive(t *testing.T) {
	_, addr := start(t, Options{})
	conn := dial(t, addr)
	r := bufio.NewReader(conn)
	say := func(s string) {
		if _, err := io.WriteString(conn, s); err != nil {
			t.Fatal(err)
		}
	}
	hear := func() string {
		s, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	say("BEGIN\r\n")
	if got := hear(); !strings.HasPrefix(got, "Bulk mode; ") {
		t.Fatalf("greeting %q", got)
	}
	say("PREFIX\nASNUMBER\nCOUNTRYCODE\nNOTRUNC\r\n")
	for range 3 {
		say("8.8.8.8\r\n")
		if got, want := hear(), "15169   | 8.8.8.8          | 8.8.8.0/24          | US | Google LLC\n"; got != want {
			t.Fatalf("%q", got)
		}
	}
	say("8.8.8.8\r\n127.0.0")
	hear()
	say(".1\r\n") // the other half of a line
	if got := hear(); !strings.HasPrefix(got, "NA      | 127.0.0.1 ") {
		t.Fatalf("%q", got)
	}
	say("END\r\n")
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

// Many lines on one connection: one answer each, in order, whatever the sizes of reads.
func TestBulkMany(t *testing.T) {
	_, addr := start(t, Options{})
	const n = 200_000
	conn := dial(t, addr)
	go func() {
		w := bufio.NewWriterSize(conn, 100_003)
		w.WriteString("begin\n")
		for i := range n {
			fmt.Fprintf(w, "8.8.8.%d\n", i%256)
			if i%1000 == 999 {
				w.WriteString("nonsense\n")
			}
		}
		w.WriteString("end\n")
		w.Flush()
	}()
	sc := bufio.NewScanner(conn)
	sc.Scan()
	line := 1
	for i := range n {
		sc.Scan()
		line++
		if want := fmt.Sprintf("15169   | %-16s | Google LLC", fmt.Sprintf("8.8.8.%d", i%256)); sc.Text() != want {
			t.Fatalf("answer %d is %q, want %q (%v)", i, sc.Text(), want, sc.Err())
		}
		if i%1000 == 999 {
			sc.Scan()
			line++
			if want := fmt.Sprintf("Error: no ASN or IP match on line %d.", line); sc.Text() != want {
				t.Fatalf("%q, want %q", sc.Text(), want)
			}
		}
	}
	if sc.Scan() {
		t.Errorf("more than was asked for: %q", sc.Text())
	}
}

func TestLogBulkLines(t *testing.T) {
	log := make(chan Access, 16)
	_, addr := start(t, Options{LogBulkLines: true, Access: func(a *Access) { log <- *a }})
	exchange(t, addr, "begin\nverbose\n8.8.8.8\nnonsense\nend\n", false)
	for _, want := range []string{"8.8.8.8 8.8.8.8 found 0", "nonsense nonsense error 115", "begin  bulk 0"} {
		a := <-log
		if got := fmt.Sprintf("%s %s %s %d", a.Query, a.Subject, a.Outcome, a.Error); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
