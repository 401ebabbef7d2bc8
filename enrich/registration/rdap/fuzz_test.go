package rdap

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecode holds that no answer makes Decode panic, and that what comes out of one is fit to be written into another protocol.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(domainAnswer))
	f.Add([]byte(`{"objectClassName":"ip network","startAddress":"192.0.2.1","endAddress":"203.0.113.7","cidr0_cidrs":[{"v4prefix":"192.0.2.0","length":24}]}`))
	f.Add([]byte(`{"objectClassName":"autnum","startAutnum":1,"vcardArray":["vcard",[["adr",{"label":"a\nb"},"text",[]]]]}`))
	f.Add([]byte(`{"errorCode":404,"title":"a","description":["b"],"notices":{"title":"Rate Limit Notice"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := Decode(body)
		r := &reply{query: query{ClassDomain, "example.test"}, url: &url.URL{Path: "/domain/example.test"}, status: http.StatusNotFound,
			header: http.Header{}, body: body, whole: true}
		_, e := r.judge()
		if e == nil || err == nil && e.Kind == NotFound {
			t.Fatalf("a 404 with an object: %v", e)
		}
		if err != nil {
			return
		}
		texts := append([]string{o.Class, o.Handle, o.LDHName, o.UnicodeName, o.Port43, o.Registrar, o.RegistrarID, o.RegistrarURL, o.Name,
			o.Type, o.Country, o.Parent, o.Registrant.Address, o.Abuse.Email, o.Abuse.Phone}, append(o.NameServers, o.Status...)...)
		for _, s := range texts {
			if strings.ContainsAny(s, "\r\n\x00") || !utf8.ValidString(s) || len(s) > 2*maxText {
				t.Fatalf("%q", s)
			}
		}
		if len(o.Prefixes) > 254 || o.Start.IsValid() && (!o.Prefixes[0].Contains(o.Start) || lastOf(o.Prefixes[len(o.Prefixes)-1]) != o.End) {
			t.Fatalf("%s to %s: %v", o.Start, o.End, o.Prefixes)
		}
	})
}
