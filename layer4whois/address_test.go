package layer4whois

import (
	"net/netip"
	"testing"
)

func TestAppendPrefix(t *testing.T) {
	for b := range 256 {
		a := netip.AddrFrom4([4]byte{byte(b), byte(255 - b), byte(b * 7), byte(b * 13)})
		for _, p := range []netip.Prefix{netip.PrefixFrom(a, b%33), netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(b)}), 8)} {
			if got := string(appendPrefix(nil, p)); got != p.String() {
				t.Errorf("%v: %s", p, got)
			}
		}
	}
	p := netip.MustParsePrefix("2001:db8::/32")
	if got := string(appendPrefix([]byte("route: "), p)); got != "route: 2001:db8::/32" {
		t.Errorf("%s", got)
	}
}

func BenchmarkAppendPrefix(b *testing.B) {
	p := netip.MustParsePrefix("203.113.192.0/19")
	var dst []byte
	for b.Loop() {
		dst = appendPrefix(dst[:0], p)
	}
}
