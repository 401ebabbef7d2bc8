package lists

import (
	"bytes"
	"testing"
)

// FuzzRules reads anything as a list. What is taken in can be found again, by the name that it says.
func FuzzRules(f *testing.F) {
	for _, s := range []string{
		"0.0.0.0 a.test b.test # c", "*.a.test\n.b.test\nc.test", "||a.test^$important,dnstype=A|~AAAA,denyallow=x.a.test",
		"@@|b.test^\n||*.c.test^\n||b.test^$badfilter", "||a.test^$all\n||1.2.3.4^\na.test##x", "\xef\xbb\xbffaß.test\r\n/re/\n[x]\n!",
	} {
		f.Add([]byte(s), []byte("\x01a\x04test\x00"), uint16(1))
	}
	f.Fuzz(func(t *testing.T, text, name []byte, qtype uint16) {
		l := &list{name: "fuzz"}
		if err := (&ruleReader{list: l}).read(t.Context(), bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		_ = l.verdict()
		_ = l.form()
		s, err := newSet([]*list{l}, []flags{0})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range l.chunks {
			for _, e := range c.entries() {
				n++
				name := e.name()
				if again, ok := AppendName(nil, []byte(nameText(name))); !ok || !bytes.Equal(again, name) {
					t.Fatalf("%q is %q", nameText(name), again)
				}
				if p := s.probe(name); len(l.revoked) == 0 {
					if _, ok := s.next(&p, name); !ok {
						t.Fatalf("%q is not found", name)
					}
				}
				_ = s.Match(name, qtype).String()
			}
		}
		if n != l.count || s.Len() > n {
			t.Fatalf("%d entries, %d counted, %d in the set", n, l.count, s.Len())
		}
		if m := s.Match(name, qtype); m.Action != None && labels(name) == 0 {
			t.Fatalf("%q, which is no name: %v", name, m)
		}
	})
}

// FuzzHosts reads anything as a hosts file, and any name as one for an address.
func FuzzHosts(f *testing.F) {
	f.Add([]byte("192.0.2.1 a.test b # c\n2001:db8::1\ta.test\nfe80::1%x y"), []byte("\x011\x012\x010\x03192\x07in-addr\x04arpa\x00"))
	f.Fuzz(func(t *testing.T, text, name []byte) {
		ReverseAddr(name)
		file := new(hostsFile)
		if err := file.read(t.Context(), bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		s, err := newHostsState([]*hostsFile{file})
		if err != nil {
			t.Fatal(err)
		}
		h := new(Hosts)
		h.state.Store(s)
		if _, found := h.Lookup(nil, name); found && labels(name) == 0 {
			t.Fatalf("%q, which is no name, was found", name)
		}
		for _, c := range file.chunks {
			for _, e := range c.entries() {
				addrs, found := h.Lookup(nil, e.name())
				if !found || len(addrs) > maxAddresses {
					t.Fatalf("%q: %v", e.name(), addrs)
				}
				for _, a := range addrs {
					if !a.IsValid() || len(h.Names(nil, a)) == 0 && !a.IsUnspecified() {
						t.Fatalf("%q has %v, which has no name", e.name(), a)
					}
				}
			}
		}
	})
}
