package mmdb

import (
	"math"
	"math/big"
	"strconv"

	"github.com/whence-project/whence/enrich"
)

// appendKey appends a key to a flattened one, in snake_case: "isoCode" and "iso-code" become iso_code.
func appendKey(path, key []byte) []byte {
	if len(path) > 0 {
		path = append(path, '_')
	}
	start := len(path)
	lower := false // the last letter was lower case or a digit, so that a capital starts a word
	for _, c := range key {
		switch {
		case 'A' <= c && c <= 'Z':
			if lower {
				path = append(path, '_')
			}
			path = append(path, c|0x20)
			lower = false
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c >= 0x80:
			path = append(path, c)
			lower = true
		default:
			path = append(path, '_')
			lower = false
		}
	}
	if len(path) == start {
		path = append(path, "value"...)
	}
	return path
}

func hasSuffix(path []byte, suffix string) bool {
	return len(path) >= len(suffix) && string(path[len(path)-len(suffix):]) == suffix
}

// float writes a number as short as it can be and still be read back, as JSON wants it (RFC 8259 §6); what JSON has no number
// for stays text.
func float(v float64, bits int) (string, enrich.Type) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'g', -1, bits), enrich.Text
	case v != 0 && (math.Abs(v) < 1e-6 || math.Abs(v) >= 1e21):
		return strconv.FormatFloat(v, 'e', -1, bits), enrich.Number
	}
	return strconv.FormatFloat(v, 'f', -1, bits), enrich.Number
}

func uint128(hi, lo uint64) string {
	if hi == 0 {
		return strconv.FormatUint(lo, 10)
	}
	n := new(big.Int).SetUint64(hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(lo)).String()
}
