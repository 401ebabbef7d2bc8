package mmdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

var testLimits = limits{maxFile: DefaultMaxFile, languages: []string{"en"}}

// object is a map in the order in which it is to be written.
type object []pair

type pair struct {
	key   string
	value any
}

// network is a network and its record.
type network struct {
	prefix string
	record any
}

// control writes the control byte of a value (MaxMind DB 2.0, "Data Field Format").
func control(b *bytes.Buffer, typ, size int) {
	first := typ << 5
	if typ > 7 {
		first = 0
	}
	switch {
	case size < 29:
		b.WriteByte(byte(first | size))
	case size < 285:
		b.WriteByte(byte(first | 29))
	default:
		b.WriteByte(byte(first | 30))
	}
	if typ > 7 {
		b.WriteByte(byte(typ - 7))
	}
	if size >= 285 {
		b.WriteByte(byte((size - 285) >> 8))
		b.WriteByte(byte(size - 285))
	} else if size >= 29 {
		b.WriteByte(byte(size - 29))
	}
}

// encode writes a value to the data section.
func encode(b *bytes.Buffer, v any) {
	number := func(typ int, n uint64) {
		s := binary.BigEndian.AppendUint64(nil, n)
		s = bytes.TrimLeft(s, "\x00")
		control(b, typ, len(s))
		b.Write(s)
	}
	switch v := v.(type) {
	case string:
		control(b, 2, len(v))
		b.WriteString(v)
	case []byte:
		control(b, 4, len(v))
		b.Write(v)
	case float64:
		control(b, 3, 8)
		b.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case int:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case bool:
		n := 0
		if v {
			n = 1
		}
		control(b, 14, n)
	case object:
		control(b, 7, len(v))
		for _, p := range v {
			encode(b, p.key)
			encode(b, p.value)
		}
	case []any:
		control(b, 11, len(v))
		for _, e := range v {
			encode(b, e)
		}
	default:
		panic(fmt.Sprintf("no encoding for %T", v))
	}
}

// write makes a database of networks in which each lies beside the others. ipVersion is 4 or 6.
func write(typ string, ipVersion int, networks ...network) []byte {
	const none = -1
	nodes := [][2]int{{none, none}} // a node's number, or none, or -2-n for record n
	var offsets []int
	var data bytes.Buffer
	for n, nw := range networks {
		offsets = append(offsets, data.Len())
		encode(&data, nw.record)
		p := netip.MustParsePrefix(nw.prefix)
		bits := p.Addr().AsSlice()
		length := p.Bits()
		if p.Addr().Is4() && ipVersion == 6 {
			bits, length = append(make([]byte, 12), bits...), length+96
		}
		at := 0
		for i := range length {
			side := bits[i/8] >> (7 - i%8) & 1
			if i == length-1 {
				nodes[at][side] = -2 - n
			} else if nodes[at][side] == none {
				nodes = append(nodes, [2]int{none, none})
				nodes[at][side] = len(nodes) - 1
			}
			at = max(nodes[at][side], 0)
		}
	}
	var b bytes.Buffer
	for _, n := range nodes {
		for _, v := range n {
			switch {
			case v == none:
				v = len(nodes)
			case v < none:
				v = len(nodes) + separator + offsets[-2-v]
			}
			b.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		}
	}
	b.Write(make([]byte, separator))
	b.Write(data.Bytes())
	b.Write(metadataMarker)
	encode(&b, object{
		{"binary_format_major_version", 2}, {"binary_format_minor_version", 0}, {"build_epoch", uint64(1800000000)},
		{"database_type", typ}, {"description", object{{"en", "example"}}}, {"ip_version", ipVersion},
		{"languages", []any{}}, {"node_count", len(nodes)}, {"record_size", 24},
	})
	return b.Bytes()
}

// writeFile writes a database to a folder of the test's own.
func writeFile(t testing.TB, name string, db []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, db, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
