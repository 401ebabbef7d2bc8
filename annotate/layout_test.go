package annotate

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name, sample string
		want         Format
		delimiter    byte
	}{
		{"access.log", "8.8.8.8 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"(KHTML, like Gecko)\"\n", Text, 0},
		{"-", "Mar 27 13:06:56 host sshd[1291]: Server listening on 0.0.0.0 port 22.\nx\n", Text, 0},
		{"-", "{\"a\":1}\n", JSON, 0},
		{"-", "{broken\n{\"a\":1}\n", JSON, 0},
		{"-", "\uFEFF {\"a\":1}", JSON, 0},
		{"-", "{ not JSON\n{ neither\n", Text, 0},
		{"x.ndjson.gz", "", JSON, 0},
		{"a/B.CSV", "x\n", CSV, 0},
		{"b.tsv.zst", "x\n", TSV, 0},
		{"-", "ip,n\n8.8.8.8,1\n9.9.9.9,2\n", CSV, ','},
		{"-", "n\tip\n1\t8.8.8.8\n", CSV, '\t'},
		{"-", "n;ip\n1;\"8.8.8.8\"\n", CSV, ';'},
		{"-", "1,8.8.8.8\n2,9.9.9.9", CSV, ','},
		{"-", "a,b\nx,y\n", Text, 0},
		{"-", "8.8.8.8\n9.9.9.9\n", Text, 0},
		{"-", "8.8.8.8,1\nx\n9.9.9.9,2\n", Text, 0},
		{"-", "ip,\"n\n8.8.8.8,1\n", Text, 0},
		{"-", "", Text, 0},
	} {
		got, delimiter := new(Options).detect(tt.name, []byte(tt.sample))
		if got != tt.want || delimiter != tt.delimiter {
			t.Errorf("%s, %q: %v with %q, want %v with %q", tt.name, tt.sample, got, delimiter, tt.want, tt.delimiter)
		}
	}
	a := mustNew(t, Options{Fields: []string{"asn"}})
	for log, want := range map[string]string{
		"8.8.8.8": "8.8.8.8[AS15169]", "{\"a\":\"8.8.8.8\"}\n": "{\"a\":\"8.8.8.8\",\"whence\":{\"8.8.8.8\":{\"asn\":\"AS15169\"}}}\n",
		"a,ip\n1,8.8.8.8\n": "a,ip,ip_asn\n1,8.8.8.8,AS15169\n",
	} {
		for range 2 { // formats that follow each other do not share what is rendered
			if got := annotated(t, a, "", log); got != want {
				t.Errorf("%q became %q, want %q", log, got, want)
			}
		}
	}
}

// TestEnough holds that a log's first line waits for the second only where that may make a table of it.
func TestEnough(t *testing.T) {
	for _, tt := range []struct {
		format Format
		sample string
		want   bool
	}{
		{Auto, "8.8.8.8 - - [17/May/2015:10:05:03 +0000] \"GET /a,b;c HTTP/1.1\" 200 1 \"-\" \"Mozilla/5.0 (X11; Linux x86_64) (KHTML, like Gecko)\"\n", true},
		{Auto, "Mar 27 13:06:56 host sshd[1291]: Accepted publickey for x from 8.8.8.8 port 22\n", true},
		{Auto, "8.8.8.8\n", true},
		{Auto, "{\"a\":1,\"b\":2}\n", true},
		{Auto, "{\"a\":\"one two three four five\",\"b\":2}\n", true},
		{Auto, "ip,n\n", false},
		{Auto, "ip,n\n8.8.8.8,1\n", true},
		{Auto, "8.8.8.8;see, there is more than one word or two here\n", false},
		{CSV, "x\n", false},
		{CSV, "x,\"a\nb\n", false},
		{CSV, "x\ny\n", true},
		{JSON, "x\n", true},
		{Text, "a,b\n", true},
	} {
		o := Options{Format: tt.format}
		if got := o.enough([]byte(tt.sample)); got != tt.want {
			t.Errorf("%v, %q: %v, want %v", tt.format, tt.sample, got, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Fields: []string{"AS number"}}, `"AS number" is no name of a field`},
		{Options{Fields: []string{"asn", "asn"}}, "named twice"},
		{Options{Fields: []string{}}, "no field is named"},
		{Options{MaxLine: 10}, "a line may have 1024 to"},
		{Options{Delimiter: '"'}, "cannot be between"},
		{Options{Format: JSON, Append: true}, "not of json"},
		{Options{Flat: true}, "choose these"},
		{Options{Format: Text, In: []string{"client"}}, `"client" names no field of a line of text`},
		{Options{Format: Text, In: []string{"0"}}, `"0" names no field`},
		{Options{Format: JSON, In: []string{""}}, `"" is no path`},
		{Options{Format: JSON, In: make([]string, 17)}, "17 paths are chosen: 16 may be"},
	} {
		tt.o.Lookup = Local(planned())
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.o, err, tt.want)
		}
	}
	a := mustNew(t, Options{In: []string{"client_ip"}})
	if err := a.Annotate(context.Background(), Log{In: strings.NewReader("x y\n"), Out: new(bytes.Buffer)}); err == nil || !strings.Contains(err.Error(), "client_ip") {
		t.Errorf("a path where there is text: %v", err)
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("there is a format xml")
	}
	for f := Auto; f <= TSV; f++ {
		if got, err := ParseFormat(f.String()); got != f || err != nil {
			t.Errorf("%v is read as %v (%v)", f, got, err)
		}
	}
}
