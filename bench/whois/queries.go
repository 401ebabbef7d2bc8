//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// query is an address that is asked about and what the database says of it.
type query struct {
	addr  netip.Addr
	line  []byte // the address and CRLF
	found bool   // the database has a record
	asn   string // of the record, "AS15169"; empty where it has none
}

// special are the networks within 1.0.0.0-223.255.255.255 that are not globally reachable or have no operator: whoever
// annotates them says something else than a database.
var special = func() (ps []netip.Prefix) {
	for _, p := range []string{
		"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24",
	} {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}()

// randomAddress is a public IPv4 address, each as likely as any other.
func randomAddress(r *rand.Rand) netip.Addr {
again:
	for {
		v := r.Uint32()
		a := netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
		if b := a.As4(); b[0] == 0 || b[0] >= 224 {
			continue
		}
		for _, p := range special {
			if p.Contains(a) {
				continue again
			}
		}
		return a
	}
}

// newQueries makes n queries with the answers that the database has, the same ones for the same seed. With zipf they are drawn
// from 200,000 addresses of which few are asked for often, as in logs.
func newQueries(database string, n int, seed uint64, zipf bool) ([]query, error) {
	db, err := maxminddb.Open(database)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	r := rand.New(rand.NewPCG(seed, 0))
	next := func() netip.Addr { return randomAddress(r) }
	if zipf {
		pool := make([]netip.Addr, 200_000)
		for i := range pool {
			pool[i] = randomAddress(r)
		}
		z := rand.NewZipf(r, 1.1, 10, uint64(len(pool)-1))
		next = func() netip.Addr { return pool[z.Uint64()] }
	}
	qs := make([]query, n)
	for i := range qs {
		q := &qs[i]
		q.addr = next()
		q.line = append(q.addr.AppendTo(make([]byte, 0, 17)), "\r\n"...)
		var record struct {
			ASN any `maxminddb:"asn"`
		}
		found := db.Lookup(q.addr)
		if err := found.Decode(&record); err != nil {
			return nil, err
		}
		q.found = found.Found()
		if s, ok := record.ASN.(string); ok {
			q.asn = s
		}
	}
	return qs, nil
}

// checkLines says what is wrong with an answer in the form of the article, or nil.
func (q *query) checkLines(answer []byte) error {
	route, _, ok := bytes.Cut(bytes.TrimPrefix(answer, []byte("route: ")), []byte("\r\n"))
	network, err := netip.ParsePrefix(string(route))
	switch {
	case !ok || err != nil || !network.Contains(q.addr):
		return fmt.Errorf("%v: no network that holds it: %.80q", q.addr, answer)
	case q.asn != "" && value(answer, "\r\nasn: ") != q.asn:
		return fmt.Errorf("%v: without %s: %.200q", q.addr, q.asn, answer)
	case q.found && !bytes.HasSuffix(answer, []byte("\r\ndbstatus: ok - data found\r\n")),
		!q.found && !bytes.HasSuffix(answer, []byte("\r\ndbstatus: warning - no data available\r\n")):
		return fmt.Errorf("%v: another state than the database's: %.200q", q.addr, answer)
	}
	return nil
}

// value is what follows key up to the end of the line.
func value(answer []byte, key string) string {
	_, rest, _ := bytes.Cut(answer, []byte(key))
	v, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(v)
}

// checkColumns says what is wrong with a line whose first columns are AS number and address.
func (q *query) checkColumns(line []byte) error {
	asn, rest, _ := bytes.Cut(line, []byte("|"))
	addr, _, _ := bytes.Cut(rest, []byte("|"))
	want := "NA"
	if len(q.asn) > 2 {
		want = q.asn[2:]
	}
	if string(bytes.TrimSpace(addr)) != q.addr.String() || string(bytes.TrimSpace(asn)) != want {
		return fmt.Errorf("%v, %s: answered %.120q", q.addr, q.asn, line)
	}
	return nil
}

// checkBars says what is wrong with a line of the loops, "ADDRESS|ASN|…".
func (q *query) checkBars(line []byte) error {
	addr, rest, _ := bytes.Cut(line, []byte("|"))
	asn, _, _ := bytes.Cut(rest, []byte("|"))
	if string(addr) != q.addr.String() || string(asn) != q.asn {
		return fmt.Errorf("%v, %s: answered %.120q", q.addr, q.asn, line)
	}
	return nil
}
