package fetch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var (
	sumA = strings.Repeat("0123456789abcdef", 4)
	sumB = strings.Repeat("fedcba9876543210", 4)
)

func TestParseSum(t *testing.T) {
	for _, tt := range []struct{ text, name, want string }{
		{sumA + "  data.mmdb\n", "data.mmdb", sumA},
		{sumA + " *dir/data.mmdb\r\n", "data.mmdb", sumA},
		{"\xef\xbb\xbf" + strings.ToUpper(sumA), "data.mmdb", sumA},
		{sumA + "  GeoLite2-ASN_20260101.tar.gz\n", "download", sumA},
		{"# sums\n" + sumB + "  other\n" + sumA + "  data.mmdb\n", "data.mmdb", sumA},
		{sumB + "  other\n" + sumA + "  another\n", "data.mmdb", ""},
		{"SHA256 (data.mmdb) = " + sumA, "data.mmdb", sumA},
		{"SHA256 (other) = " + sumB + "\nSHA256 (data.mmdb) = " + sumA, "data.mmdb", sumA},
		{`{"checksums":{"md5":"x","sha256":"` + sumA + `"}}`, "data.mmdb", sumA},
		{`{"sha256":"` + sumA + `"}`, "data.mmdb", sumA},
		{`{"sha256":"` + sumA[1:] + `"}`, "data.mmdb", ""},
		{`{"sha256":`, "data.mmdb", ""},
		{"<html>", "data.mmdb", ""},
		{"", "data.mmdb", ""},
		{sumA[:40] + "  data.mmdb", "data.mmdb", ""}, // SHA-1
	} {
		got, err := ParseSum([]byte(tt.text), tt.name)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %s, %v", tt.text, got, err)
		}
	}
}

func TestSum(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			w.Write(make([]byte, 2*maxSums))
			return
		}
		w.Write([]byte(sumA))
	}))
	defer srv.Close()
	c := New(Options{})
	if got, err := c.Sum(t.Context(), Request{URL: srv.URL}, "x"); got != sumA || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := c.Sum(t.Context(), Request{URL: srv.URL + "/long"}, "x"); err == nil {
		t.Error("a file of checksums of 2 MiB was read")
	}
}

func FuzzParseSum(f *testing.F) {
	f.Add([]byte(sumA+"  data.mmdb\n"), "data.mmdb")
	f.Add([]byte("SHA256 (data.mmdb) = "+sumA), "data.mmdb")
	f.Add([]byte(`{"checksums":{"sha256":"`+sumA+`"}}`), "data.mmdb")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		sum, err := ParseSum(text, name)
		if (err == nil) != IsSum(sum) || sum != strings.ToLower(sum) {
			t.Errorf("%q, %v of %q", sum, err, text)
		}
		if err == nil && !strings.Contains(strings.ToLower(string(text)), sum) && !strings.Contains(string(text), `\`) {
			t.Errorf("%q is not in %q", sum, text)
		}
	})
}
