//go:build linux

package main

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

var asked = []query{
	{addr: netip.MustParseAddr("192.0.2.1"), found: true, asn: "AS64500"},
	{addr: netip.MustParseAddr("198.51.100.1"), found: true},
	{addr: netip.MustParseAddr("203.0.113.1")},
}

const (
	record1 = "route: 192.0.2.0/24\r\nas_name: Example\r\nasn: AS64500\r\ncountry_code: DE\r\ndbstatus: ok - data found\r\n"
	record2 = "route: 198.51.100.0/25\r\ncountry_code: DE\r\ndbstatus: ok - data found\r\n"
	record3 = "route: 203.0.112.0/23\r\nrir: apnic\r\ndbstatus: warning - no data available\r\n"
	rows    = "64500   | 192.0.2.1        | 192.0.2.0/24 | DE | NA\n" +
		"NA      | 198.51.100.1     | 198.51.100.0/25 | DE | NA\nNA      | 203.0.113.1      | NA | NA | NA\n"
	greeting = "Bulk mode; example.org [2026-11-21 00:00:00 +0000]\n"
)

func TestChecks(t *testing.T) {
	records := greeting + record1 + "\r\n" + record2 + "\r\n" + record3 + "\r\n"
	columns := greeting + rows
	bars := "192.0.2.1|AS64500|Example|DE\n198.51.100.1|||DE\n203.0.113.1|||\n"
	checkLoop := func(answers []byte, queries []query) error {
		return checkEach(answers, queries, "\n", (*query).checkBars)
	}
	swap := func(s, a, b string) string { return strings.NewReplacer(a, b, b, a).Replace(s) }
	for _, tc := range []struct {
		name, answers string
		check         func([]byte, []query) error
		wrong         string // what the error names; empty where all is well
	}{
		{"records", records, checkRecords, ""},
		{"records in another order", swap(records, record1, record2), checkRecords, "line 1"},
		{"another AS", strings.Replace(records, "AS64500", "AS64501", 1), checkRecords, "line 1"},
		{"no AS", strings.Replace(records, "asn: AS64500\r\n", "", 1), checkRecords, "line 1"},
		{"data that are not there", strings.Replace(records, "warning - no data available", "ok - data found", 1), checkRecords, "line 3"},
		{"data that are missing", strings.Replace(records, "ok - data found", "warning - no data available", 1), checkRecords, "line 1"},
		{"a record less", strings.Replace(records, record3+"\r\n", "", 1), checkRecords, "end before line 3"},
		{"a record more", records + record3 + "\r\n", checkRecords, "more answers"},
		{"no greeting", strings.TrimPrefix(records, greeting), checkRecords, "greeting"},
		{"rows", columns, checkRows, ""},
		{"rows in another order", swap(columns, "198.51.100.1 ", "203.0.113.1 "), checkRows, "line 2"},
		{"a row with another AS", strings.Replace(columns, "64500", "64501", 1), checkRows, "line 1"},
		{"a row cut short", strings.TrimSuffix(columns, "\n"), checkRows, "end before line 3"},
		{"bars", bars, checkLoop, ""},
		{"bars with another AS", strings.Replace(bars, "64500", "6450", 1), checkLoop, "line 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.check([]byte(tc.answers), asked)
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("error %v, want one that names %q", err, tc.wrong)
			}
		})
	}
}

// serve has the accept loop of the child in this process.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func manyQueries(n int) []query {
	qs := make([]query, n)
	for i := range qs {
		qs[i].addr = asked[i%len(asked)].addr
		qs[i].line = append(qs[i].addr.AppendTo(nil), "\r\n"...)
	}
	return qs
}

func TestLoadCounts(t *testing.T) {
	qs := manyQueries(300)
	l := &load{addr: serve(t, limit), queries: qs, clients: 8, timeout: 10 * time.Second}
	l.check = func(_ *query, answer []byte) error {
		if string(answer) != string(fixedAnswer) {
			return os.ErrInvalid
		}
		return nil
	}
	res := l.run()
	if res.failed != 0 || res.bytes != int64(len(qs)*len(fixedAnswer)) || res.latency[0] <= 0 {
		t.Errorf("failed %d (%v), %d bytes, least latency %v", res.failed, res.first, res.bytes, res.latency[0])
	}
	l.check = (*query).checkLines // which a fixed answer does not pass
	if res := l.run(); res.failed == 0 || res.first == nil {
		t.Error("wrong answers were not counted")
	}
	l.addr = netip.MustParseAddrPort("127.0.0.1:1")
	if res := l.run(); res.failed != int64(len(qs)) {
		t.Errorf("%d of %d failed where nobody listens", res.failed, len(qs))
	}
}

func TestEcho(t *testing.T) {
	qs := manyQueries(50_000)
	b := &bulk{addr: serve(t, echo), input: bulkInput(qs, "verbose"), room: make([]byte, 2<<20), timeout: 20 * time.Second}
	answers, elapsed, err := b.run()
	if err != nil || elapsed <= 0 {
		t.Fatal(elapsed, err)
	}
	if err := checkEcho(answers, b.input); err != nil {
		t.Error(err)
	}
	if checkEcho(answers[1:], b.input) == nil {
		t.Error("a short echo passes")
	}
}

func TestRandomAddressesArePublic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := make(map[byte]bool)
	for range 100_000 {
		a := randomAddress(r)
		if !a.Is4() || !a.IsGlobalUnicast() || a.IsPrivate() || a.As4()[0] == 0 || a.As4()[0] >= 224 {
			t.Fatalf("%v is not public", a)
		}
		seen[a.As4()[0]] = true
	}
	if len(seen) != 223-2 { // but 10 and 127
		t.Errorf("addresses of %d /8, want 221", len(seen))
	}
}
