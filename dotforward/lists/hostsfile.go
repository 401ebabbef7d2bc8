package lists

import (
	"bytes"
	"context"
	"io"
	"net/netip"
)

// read reads a hosts file (hosts(5)): an address and its names a line.
func (f *hostsFile) read(ctx context.Context, in io.Reader) error {
	defer f.arena.close()
	return eachLine(ctx, in, f.line, func(number int, text []byte) {
		f.lines++
		f.leave(TooLong, number, text)
	})
}

func (f *hostsFile) line(number int, text []byte) error {
	f.lines++
	if text[0] == '#' || text[0] == '!' || text[0] == ';' {
		return nil
	}
	first, rest := cutField(text)
	a, ok := addressOf(first)
	a = a.Unmap()
	switch {
	case !ok || len(rest) == 0 || rest[0] == '#':
		f.leave(NotUnderstood, number, text)
		return nil
	case a.Zone() != "":
		f.leave(OfTheMachine, number, text) // the zone means something there only
		return nil
	}
	kind := self | extra4
	if a.Is6() {
		kind = self | extra16
	}
	var buf [maxName]byte
	for text, more := cutField(uncommented(rest)); len(text) > 0; text, more = cutField(more) {
		if _, is := addressOf(text); is {
			f.leave(IsAddress, number, text)
			continue
		}
		name, ok := AppendName(buf[:0], text)
		if !ok {
			f.leave(NotUnderstood, number, text)
			continue
		}
		f.rules++
		if err := f.arena.add(number, kind, name, a.AsSlice()); err != nil {
			return err
		}
	}
	return nil
}

// newHostsState makes the table of these files. Of a name, only the first file that has it counts.
func newHostsState(files []*hostsFile) (*hostsState, error) {
	arenas := make([]*arena, len(files))
	for i, f := range files {
		arenas[i] = &f.arena
	}
	t, err := newTable(arenas)
	if err != nil {
		return nil, err
	}
	s := &hostsState{table: t, files: files, names: make(map[netip.Addr][]uint32)}
	for c := range t.chunks {
		for at := range t.chunks[c].entries() {
			s.insert(uint32(c<<chunkBits | at))
		}
	}
	return s, nil
}

func (s *hostsState) insert(place uint32) {
	e := s.entry(place)
	name := e.name()
	extra := e.extra(len(name))
	p := s.probe(name)
	for n := 0; ; n++ {
		have, ok := s.next(&p, name)
		if !ok {
			break
		}
		if n == maxAddresses-1 || s.ownerOf(have) != s.ownerOf(place) || bytes.Equal(s.entry(have).extra(len(name)), extra) {
			return
		}
	}
	s.put(p, place)
	a := s.address(place, len(name))
	if names := s.names[a]; !a.IsUnspecified() && len(names) < maxNames {
		s.names[a] = append(names, place)
	}
}

// address is that of the entry at a place, whose name is n bytes long.
func (s *hostsState) address(place uint32, n int) netip.Addr {
	a, _ := netip.AddrFromSlice(s.entry(place).extra(n))
	return a
}

// The zones of names for addresses (RFC 1035 §3.5, RFC 3596 §2.5), on the wire.
var (
	arpa4 = []byte("\x07in-addr\x04arpa\x00")
	arpa6 = []byte("\x03ip6\x04arpa\x00")
)

// ReverseAddr is the address that a name in in-addr.arpa or ip6.arpa, on the wire in lower case, stands for; not ok for any other
// name, and for those of networks.
func ReverseAddr(name []byte) (netip.Addr, bool) {
	if digits, ok := bytes.CutSuffix(name, arpa4); ok {
		return reverse4(digits)
	}
	digits, ok := bytes.CutSuffix(name, arpa6)
	if !ok || len(digits) != 64 {
		return netip.Addr{}, false
	}
	var a [16]byte
	for i := 0; i < 64; i += 2 {
		c := digits[i+1]
		switch {
		case digits[i] != 1:
			return netip.Addr{}, false
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return netip.Addr{}, false
		}
		nibble := 31 - i/2
		a[nibble/2] |= c << (4 * (1 - nibble%2))
	}
	return netip.AddrFrom16(a), true
}

func reverse4(digits []byte) (netip.Addr, bool) {
	var a [4]byte
	for i := 3; i >= 0; i-- {
		if len(digits) == 0 || digits[0] < 1 || digits[0] > 3 || len(digits) < 1+int(digits[0]) {
			return netip.Addr{}, false
		}
		label := digits[1 : 1+digits[0]]
		n := 0
		for _, c := range label {
			if c < '0' || c > '9' {
				return netip.Addr{}, false
			}
			n = n*10 + int(c-'0')
		}
		if n > 255 || label[0] == '0' && len(label) > 1 {
			return netip.Addr{}, false
		}
		a[i] = byte(n)
		digits = digits[1+digits[0]:]
	}
	return netip.AddrFrom4(a), len(digits) == 0
}
