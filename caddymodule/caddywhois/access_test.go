package caddywhois

import (
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/layer4whois"
)

func TestSimpleWHOISEncoder(t *testing.T) {
	a := layer4whois.Access{Client: netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711"), Query: "test.com"}
	at := time.Date(2016, 7, 16, 22, 46, 53, 214_000_000, time.Local)
	enc := new(SimpleWHOISEncoder).CaddyModule().New().(zapcore.Encoder)
	filtered := enc.Clone() // a filter adds the fields before the entry
	zap.Inline((*accessFields)(&a)).AddTo(filtered)
	for _, test := range []struct {
		enc    zapcore.Encoder
		fields []zap.Field
	}{
		{enc, []zap.Field{zap.Inline((*accessFields)(&a))}},
		{enc, []zap.Field{zap.String("client_ip", "192.0.2.7"), zap.String("query", "test.com")}},
		{filtered, nil},
	} {
		b, err := test.enc.EncodeEntry(zapcore.Entry{Time: at, Level: zapcore.InfoLevel, Message: "query"}, test.fields)
		if err != nil {
			t.Fatal(err)
		}
		if want := "2016-07-16 22:46:53,214 WHOIS_SERVER INFO client_ip:192.0.2.7 requested_domain:test.com\n"; b.String() != want {
			t.Errorf("got  %q\nwant %q", b.String(), want)
		}
	}
}

func TestAccessFields(t *testing.T) {
	s, err := enrich.ParseSubject("8.8.8.8")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		access layer4whois.Access
		want   map[string]any
	}{
		{layer4whois.Access{Query: "8.8.8.8", Subject: s, Dialect: "lines", Outcome: layer4whois.Found, Bytes: 7, Duration: time.Millisecond},
			map[string]any{"client_ip": "-", "client_port": uint16(0), "query": "8.8.8.8", "subject": "8.8.8.8", "dialect": "lines",
				"outcome": "found", "bytes": 7, "duration": time.Millisecond}},
		{layer4whois.Access{Query: "begin", Dialect: "cymru", Outcome: layer4whois.Bulk, Lines: 3, Found: 2, Errors: 1},
			map[string]any{"client_ip": "-", "client_port": uint16(0), "query": "begin", "dialect": "cymru", "outcome": "bulk",
				"bytes": 0, "duration": time.Duration(0), "lines": 3, "found": 2, "errors": 1}},
	} {
		m := zapcore.NewMapObjectEncoder()
		zap.Inline((*accessFields)(&test.access)).AddTo(m)
		for k, want := range test.want {
			if got := m.Fields[k]; got != want {
				t.Errorf("%s: field %s is %v (%T), want %v", test.access.Query, k, got, got, want)
			}
		}
		if len(m.Fields) != len(test.want) {
			t.Errorf("%s: fields %v", test.access.Query, m.Fields)
		}
	}
}
