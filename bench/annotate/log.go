//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
)

// special are the networks within what randomAddress draws from that are not globally reachable, so that Whence says nothing of
// them, whatever a database has.
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

// blocks are IPv6 blocks of the registries from which clients come.
var blocks = []uint64{0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00}

// randomAddress is a public address.
func randomAddress(r *rand.Rand, v6 bool) netip.Addr {
	if v6 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], (blocks[r.IntN(len(blocks))]+r.Uint64N(16))<<48|r.Uint64()>>16)
		binary.BigEndian.PutUint64(b[8:], r.Uint64())
		return netip.AddrFrom16(b)
	}
again:
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 1<<24+r.Uint32N(223<<24))
	a := netip.AddrFrom4(b)
	for _, p := range special {
		if p.Contains(a) {
			goto again
		}
	}
	return a
}

// clients are the addresses of a log's clients, one in twelve of them IPv6: as logs have them, drawn from 60,000 of which few come
// often, but for one line in ten, whose client comes once; or each once.
func clients(n int, once bool, seed uint64) func() netip.Addr {
	r := rand.New(rand.NewPCG(seed, 0))
	pool := make([]netip.Addr, 60_000)
	for i := range pool {
		pool[i] = randomAddress(r, i%12 == 0)
	}
	z := rand.NewZipf(r, 1.1, 10, uint64(len(pool)-1))
	return func() netip.Addr {
		if once || r.IntN(10) == 0 {
			return randomAddress(r, r.IntN(12) == 0)
		}
		return pool[z.Uint64()]
	}
}

// writeLog writes an Apache log of n lines: those of a real one, over and over, with other clients.
func writeLog(name, from string, n int, once bool) (size int64, err error) {
	b, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	var rests [][]byte // of the lines, from the first blank on
	for line := range bytes.Lines(b) {
		if i := bytes.IndexByte(line, ' '); i > 0 && line[len(line)-1] == '\n' {
			rests = append(rests, line[i:])
		}
	}
	if len(rests) == 0 {
		return 0, errors.New("no lines as Apache writes them in " + from)
	}
	client := clients(n, once, 1)
	var out []byte
	for i := range n {
		out = append(client().AppendTo(out), rests[i%len(rests)]...)
	}
	return int64(len(out)), os.WriteFile(name, out, 0o600)
}

// checkSame says where two outputs differ that should be the same.
func checkSame(got, want []byte) error {
	n := 0
	for len(got) > 0 && len(want) > 0 {
		n++
		g, w := firstLine(got), firstLine(want)
		if !bytes.Equal(g, w) {
			return fmt.Errorf("line %d is %.120q, want %.120q", n, g, w)
		}
		got, want = got[len(g):], want[len(w):]
	}
	if len(got) != len(want) {
		return fmt.Errorf("after line %d one ends and the other does not", n)
	}
	return nil
}

// checkAll says where got, with every address annotated, is not want, with the first of each line annotated, and more of the same.
func checkAll(got, want []byte) error {
	n := 0
	for len(got) > 0 && len(want) > 0 {
		n++
		g, w := firstLine(got), firstLine(want)
		client, _, _ := bytes.Cut(w, []byte(" - "))
		if !bytes.HasPrefix(g, client) || !bytes.Equal(strip(g), strip(w)) {
			return fmt.Errorf("line %d is %.200q, want what is in %.200q", n, g, w)
		}
		got, want = got[len(g):], want[len(w):]
	}
	if len(got) != len(want) {
		return fmt.Errorf("after line %d one ends and the other does not", n)
	}
	return nil
}

// checkLog says where what was annotated is not the log.
func checkLog(annotated, log []byte) error { return checkSame(strip(annotated), strip(log)) }

func firstLine(b []byte) []byte { return b[:1+bytes.IndexByte(b, '\n')] }

// annotation is how an AS number, a country or both are put in.
var annotation = regexp.MustCompile(`\[(AS[0-9]+( [A-Z]{2})?|[A-Z]{2})\]`)

// strip takes the annotations out of lines.
func strip(lines []byte) []byte { return annotation.ReplaceAll(lines, nil) }
