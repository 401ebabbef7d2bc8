package annotate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	for _, tt := range []struct {
		name      string
		o         Options
		log, want string
		rejected  int64
	}{
		{"chosen", Options{In: []string{"client_ip", "request.host"}, Fields: []string{"asn", "rank"}},
			`{"client_ip":"8.8.8.8","request":{"host":"example.org:8443"}}` + "\n" + `{"client_ip":"127.0.0.1"}` + "\n",
			`{"client_ip":"8.8.8.8","request":{"host":"example.org:8443"},"whence":{"client_ip":{"asn":"AS15169"},"request.host":{"rank":17}}}` + "\n" + `{"client_ip":"127.0.0.1"}` + "\n", 0},
		{"spaces, escapes, CRLF", Options{In: []string{"a.b"}},
			"\t{ \"x\\\"}\" : \"\\u0038\\\\\" , \"a\" : { \"b\" : \"\\u0038.8.8.8\" } } \r\n{\"a\":{\"b\":\"8.8.8.8\"}}",
			"\t{ \"x\\\"}\" : \"\\u0038\\\\\" , \"a\" : { \"b\" : \"\\u0038.8.8.8\" } ,\"whence\":{\"a.b\":{\"asn\":\"AS15169\",\"country_code\":\"US\"}}} \r\n{\"a\":{\"b\":\"8.8.8.8\"},\"whence\":{\"a.b\":{\"asn\":\"AS15169\",\"country_code\":\"US\"}}}", 0},
		{"lists, keys with dots, numbers", Options{In: []string{"ips", "ips.1", "client.ip", "as"}, Fields: []string{"asn"}},
			`{"ips":["8.8.8.8, 1.2.3.4","9.9.9.9:53"],"client.ip":"2001:4860::1","as":15169}`,
			`{"ips":["8.8.8.8, 1.2.3.4","9.9.9.9:53"],"client.ip":"2001:4860::1","as":15169,"whence":{"ips":{"asn":"AS15169"},"ips.1":{"asn":"AS19281"},"client.ip":{"asn":"AS15169"},"as":{"asn":"AS15169"}}}`, 0},
		{"values that are none", Options{In: []string{"a", "b", "c", "d", "e", "f.g"}},
			`{"a":null,"b":true,"c":{"x":1},"d":[],"e":"","f":"x"}`, `{"a":null,"b":true,"c":{"x":1},"d":[],"e":"","f":"x"}`, 0},
		{"found", Options{}, `{"m":"from 8.8.8.8 to 9.9.9.9\n8.8.8.8","x":["2001:4860::1"],"8.8.8.8":1}`,
			`{"m":"from 8.8.8.8 to 9.9.9.9\n8.8.8.8","x":["2001:4860::1"],"8.8.8.8":1,"whence":{"8.8.8.8":{"asn":"AS15169","country_code":"US"},"9.9.9.9":{"asn":"AS19281","country_code":"CH"},"2001:4860::1":{"asn":"AS15169","country_code":"US"}}}`, 0},
		{"found names", Options{Names: true, Fields: []string{"rank"}, Key: `a"b`}, `{"m":"to\nexample.org, \u0065example.org"}`,
			`{"m":"to\nexample.org, \u0065example.org","a\"b":{"example.org":{"rank":17}}}`, 0},
		{"flat", Options{In: []string{"a.ip", "b"}, Flat: true, Fields: []string{"asn", "site", "as_name"}}, `{"a":{"ip":"9.9.9.9"},"b":"62.1.1.1"}`,
			`{"a":{"ip":"9.9.9.9"},"b":"62.1.1.1","a_ip_asn":"AS19281","a_ip_site":"berlin","a_ip_as_name":"Quad9 \"DNS\"","b_asn":"AS1680","b_site":"berlin"}`, 0},
		{"rejected", Options{}, "{\"a\":\"8.8.8.8\"\n[\"8.8.8.8\"]\n\"8.8.8.8\"\n\n{}\n{} {}\n{\"a\":01}\n{\"whence\":\"8.8.8.8\"}\n{\"a\":\"8.8.8.8\"}",
			"{\"a\":\"8.8.8.8\"\n[\"8.8.8.8\"]\n\"8.8.8.8\"\n\n{}\n{} {}\n{\"a\":01}\n{\"whence\":\"8.8.8.8\"}\n{\"a\":\"8.8.8.8\",\"whence\":{\"8.8.8.8\":{\"asn\":\"AS15169\",\"country_code\":\"US\"}}}", 6},
		{"byte order mark, invalid UTF-8", Options{In: []string{"a"}, Fields: []string{"asn"}}, "\uFEFF{\"a\":\"8.8.8.8\",\"b\":\"\xff\"}", "\uFEFF{\"a\":\"8.8.8.8\",\"b\":\"\xff\",\"whence\":{\"a\":{\"asn\":\"AS15169\"}}}", 0},
		{"annotated before", Options{In: []string{"a"}}, `{"a":"8.8.8.8","whence":{}}`, `{"a":"8.8.8.8","whence":{}}`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Format = JSON
			a := mustNew(t, tt.o)
			if got := annotated(t, a, "log", tt.log); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.log, got, tt.want)
			}
			if n := a.Counts().Rejected; n != tt.rejected {
				t.Errorf("%d lines rejected, want %d", n, tt.rejected)
			}
		})
	}
}

func TestWalker(t *testing.T) {
	deep := strings.Repeat(`{"a":`, maxNesting-1) + `{}` + strings.Repeat("}", maxNesting-1)
	var j walker
	if !j.walk([]byte(deep)) || j.walk([]byte(`{"a":`+deep+`}`)) {
		t.Error("nesting is not limited where it should be")
	}
}

// FuzzJSON holds the reading of JSON against encoding/json, and the annotations against the line they were put into.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"client_ip":"8.8.8.8","m":{"host":["8.8.8.8",1.5e-7,null,true,false,{}]}}`, `{"a":"\ud83d\ude00\n9.9.9.9"}`, `{}`, `{"a":-0}`, ` {"a" : 1 } `,
		`{"a":"` + "\x1f" + `"}`, `{"a":1e5,"a":2,}`, `[1]`, `{"whence":1}`, `{"a":"\u12"}`, "{\"a\":\"8.8.8.8\xff\"}",
	} {
		f.Add([]byte(s))
	}
	chosen := mustNew(f, Options{Format: JSON, In: []string{"client_ip", "m.host", "a"}, Workers: 1})
	found := mustNew(f, Options{Format: JSON, Names: true, Workers: 1})
	flat := mustNew(f, Options{Format: JSON, In: []string{"a"}, Flat: true, Workers: 1})
	f.Fuzz(func(t *testing.T, line []byte) {
		var j walker
		is := json.Valid(line) && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{"))
		if got := j.walk(line); got != is && !(is && bytes.Count(line, []byte("{"))+bytes.Count(line, []byte("[")) > maxNesting) {
			t.Fatalf("%q is an object: %v, want %v", line, got, is)
		}
		if bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		for _, a := range []*Annotator{chosen, found, flat} {
			out := annotated(t, a, "", string(line))
			if out == string(line) {
				continue
			}
			if !json.Valid([]byte(out)) || !is && !bytes.HasPrefix(line, bom) {
				t.Fatalf("%q became %q", line, out)
			}
			n := len(line) - 1 - bytes.LastIndexByte(line, '}') // what follows the object
			head, tail := out[:len(line)-n-1], out[len(out)-n-1:]
			if head+tail != string(line) {
				t.Fatalf("%q was not left as it was in %q", line, out)
			}
		}
	})
}
