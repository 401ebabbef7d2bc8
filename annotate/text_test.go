package annotate

import "testing"

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name      string
		o         Options
		log, want string
	}{
		{"in place", Options{}, "8.8.8.8 - 9.9.9.9\nx\n8.8.4.4", "8.8.8.8[AS15169 US] - 9.9.9.9[AS19281 CH]\nx\n8.8.4.4"},
		{"CRLF, empty lines, invalid UTF-8", Options{}, "a 8.8.8.8\r\n\r\n\xff\xfe 8.8.8.8 \xff", "a 8.8.8.8[AS15169 US]\r\n\r\n\xff\xfe 8.8.8.8[AS15169 US] \xff"},
		{"brackets and ports", Options{}, "[8.8.8.8]:53 8.8.8.8:53 [2001:4860::1]:53 x[8.8.8.8]: 8.8.8.8/24",
			"[8.8.8.8][AS15169 US]:53 8.8.8.8[AS15169 US]:53 [2001:4860::1][AS15169 US]:53 x[8.8.8.8][AS15169 US]: 8.8.8.8[AS15169 US]/24"},
		{"mapped", Options{}, "::ffff:8.8.8.8 ", "::ffff:8.8.8.8[AS15169 US] "},
		{"special purpose", Options{}, "10.1.2.3 127.0.0.1 2001:db8:ffff:f::1", "10.1.2.3 127.0.0.1 2001:db8:ffff:f::1"},
		{"special purpose, marked", Options{Fields: []string{"special_purpose", "asn"}}, "10.1.2.3 8.8.8.8",
			`10.1.2.3[special_purpose=Private-Use] 8.8.8.8[AS15169]`},
		{"annotated before", Options{}, "8.8.8.8[AS15169 US] 9.9.9.9[AS15169 US]", "8.8.8.8[AS15169 US] 9.9.9.9[AS19281 CH][AS15169 US]"},
		{"part is known", Options{}, "62.1.1.1", "62.1.1.1[AS1680]"},
		{"network, own field, words", Options{Fields: []string{"network", "site", "as_name"}}, "9.9.9.9", `9.9.9.9[9.9.9.0/24 site=berlin "Quad9 \"DNS\""]`},
		{"field", Options{In: []string{"2"}}, "8.8.8.8 8.8.8.8 8.8.8.8\nx\n1 2 3", "8.8.8.8 8.8.8.8[AS15169 US] 8.8.8.8\nx\n1 2 3"},
		{"fields from the end", Options{In: []string{"-1", "1"}}, "x 8.8.8.8 \"9.9.9.9\"\n8.8.8.8 -", "x 8.8.8.8 \"9.9.9.9[AS19281 CH]\"\n8.8.8.8[AS15169 US] -"},
		{"append", Options{Append: true}, "a\n\n8.8.8.8 9.9.9.9\r\nx 9.9.9.9\n10.0.0.1\n62.1.1.1", "a - -\n\n8.8.8.8 9.9.9.9 AS15169 US\r\nx 9.9.9.9 AS19281 CH\n10.0.0.1 - -\n62.1.1.1 AS1680 -"},
		{"append fields", Options{Append: true, In: []string{"1", "2"}, Fields: []string{"as_name"}}, "8.8.8.8 9.9.9.9\n- -\n8.8.8.8", "8.8.8.8 9.9.9.9 \"Google LLC\" \"Quad9 \\\"DNS\\\"\"\n- - - -\n8.8.8.8 \"Google LLC\" -"},
		{"names", Options{Names: true, Fields: []string{"rank", "asn"}}, "GET http://example.org/a.com/x.md a@example.org. 8.8.8.8 index.html example.org:80 www.example.org foo.example.org()",
			"GET http://example.org[rank=17]/a.com/x.md a@example.org[rank=17]. 8.8.8.8[AS15169] index.html example.org[rank=17]:80 www.example.org foo.example.org()"},
		{"names and addresses in each other", Options{Names: true}, "8.8.8.8.example.org 8.8.8.8 ::8.8.8.8 8.8.8.8.in-addr.arpa", "8.8.8.8.example.org 8.8.8.8[AS15169 US] ::8.8.8.8 8.8.8.8.in-addr.arpa[AS15169 US]"},
		{"nothing", Options{}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Format = Text
			a := mustNew(t, tt.o)
			for range 2 { // the second time from the cache
				if got := annotated(t, a, "log", tt.log); got != tt.want {
					t.Errorf("%q\n got %q\nwant %q", tt.log, got, tt.want)
				}
			}
		})
	}
}
