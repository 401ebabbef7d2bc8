package lists

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func openHosts(tb testing.TB, o HostsOptions) *Hosts {
	tb.Helper()
	h, err := NewHosts(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := h.Open(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

func addresses(tb testing.TB, h *Hosts, name string) string {
	tb.Helper()
	got, found := h.Lookup(nil, wire(tb, name))
	if found != (len(got) > 0) {
		tb.Errorf("%s: %v, found: %v", name, got, found)
	}
	var texts []string
	for _, a := range got {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " ")
}

func names(h *Hosts, a string) string {
	var texts []string
	for _, n := range h.Names(nil, netip.MustParseAddr(a)) {
		texts = append(texts, nameText(n))
	}
	return strings.Join(texts, " ")
}

func TestHosts(t *testing.T) {
	dir := t.TempDir()
	one := write(t, dir, "one", `
127.0.0.1	localhost
192.0.2.1	nas.test nas   # the box
192.0.2.2	NAS.test.
192.0.2.1	nas.test
2001:db8::1	nas.test
::ffff:192.0.2.9 mapped.test
fe80::1%eth0	link.test
0.0.0.0	ads.test
192.0.2.7	own.test
`)
	two := write(t, dir, "two", "192.0.2.66 nas.test other.test\n")
	h := openHosts(t, HostsOptions{Files: []string{one, two}, Records: "192.0.2.8 own.test\n# a comment"})
	for name, want := range map[string]string{
		"localhost": "127.0.0.1", "nas.test": "192.0.2.1 192.0.2.2 2001:db8::1", "nas": "192.0.2.1", "mapped.test": "192.0.2.9",
		"link.test": "", "ads.test": "0.0.0.0", "own.test": "192.0.2.8", "other.test": "192.0.2.66", "x.nas.test": "", "test": "",
	} {
		if got := addresses(t, h, name); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	for a, want := range map[string]string{
		"192.0.2.1": "nas.test nas", "192.0.2.7": "", "192.0.2.8": "own.test", "192.0.2.66": "other.test", "0.0.0.0": "",
		"2001:db8::1": "nas.test", "::ffff:192.0.2.9": "mapped.test", "192.0.2.200": "",
	} {
		if got := names(h, a); got != want {
			t.Errorf("%s is called %q, want %q", a, got, want)
		}
	}
	if file, line := h.Where(wire(t, "nas")); file != "one" || line != 3 {
		t.Errorf("nas is in %s:%d", file, line)
	}
	if file, line := h.Where(wire(t, "own.test")); file != OwnRules || line != 1 {
		t.Errorf("own.test is in %s:%d", file, line)
	}
	st := h.Status()
	if h.Len() != 9 || st.Generation == 0 || st.Generation != h.Generation() || !strings.Contains(st.Files[0].Type, "1 left out") {
		t.Errorf("%d, %+v", h.Len(), st)
	}
	for _, name := range []string{"", "\x00", "\x03nas", "\x03nasx", "\x03nas\x00x"} {
		if got, found := h.Lookup(nil, []byte(name)); found {
			t.Errorf("%q has %v", name, got)
		}
		if file, _ := h.Where([]byte(name)); file != "" {
			t.Errorf("%q is in %s", name, file)
		}
	}
}

func TestBadRecords(t *testing.T) {
	for _, text := range []string{"nas.test 192.0.2.1", "192.0.2.1", "192.0.2.1 # none", "192.0.2.1 a..test", "192.0.2.1 192.0.2.2", "fe80::1%1 x.test"} {
		if _, err := NewHosts(HostsOptions{Records: text}); err == nil {
			t.Errorf("%q was taken in", text)
		}
	}
}

func TestHostsAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "10.0.%d.%d many.test\n10.9.9.9 n%d.test\n", i/256, i%256, i)
	}
	h := openHosts(t, HostsOptions{Records: text.String()})
	if got, _ := h.Lookup(nil, wire(t, "many.test")); len(got) != maxAddresses || got[0] != netip.MustParseAddr("10.0.0.0") {
		t.Errorf("%d addresses", len(got))
	}
	if got := strings.Fields(names(h, "10.9.9.9")); len(got) != maxNames || got[0] != "n0.test" {
		t.Errorf("%v", got)
	}
	if got := addresses(t, h, "n299.test"); got != "10.9.9.9" {
		t.Errorf("n299.test has %q", got)
	}
}

func TestHostsHot(t *testing.T) {
	dir := t.TempDir()
	h := openHosts(t, HostsOptions{Files: []string{filepath.Join(dir, "hosts")}, Poll: 20 * time.Millisecond})
	write(t, dir, "hosts", "192.0.2.1 a.test\n")
	until(t, "a file that comes", func() bool { return addresses(t, h, "a.test") == "192.0.2.1" })
	write(t, dir, "hosts", "192.0.2.2 a.test\n")
	until(t, "a file that changes", func() bool { return addresses(t, h, "a.test") == "192.0.2.2" })
	write(t, dir, "hosts", "<html>\n")
	until(t, "a refusal", func() bool { return h.Status().LastError != "" })
	if got := names(h, "192.0.2.2"); got != "a.test" {
		t.Errorf("after a broken file: %q", got)
	}
}

func TestReverseAddr(t *testing.T) {
	for _, a := range []string{"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "fedc:ba98:7654:3210:123:4567:89ab:cdef"} {
		want := netip.MustParseAddr(a)
		if got, ok := ReverseAddr(wire(t, reverseName(want))); !ok || got != want {
			t.Errorf("%s: %v, %v", a, got, ok)
		}
	}
	six := reverseName(netip.MustParseAddr("2001:db8::1"))
	for _, name := range []string{
		"in-addr.arpa", "2.0.192.in-addr.arpa", "1.1.2.0.192.in-addr.arpa", "256.2.0.192.in-addr.arpa", "01.2.0.192.in-addr.arpa",
		"a.2.0.192.in-addr.arpa", "1-26.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.test", "ip6.arpa", "0." + six, six[2:], "g" + six[1:],
		"00" + six[3:], "test", "1111.2.0.192.in-addr.arpa",
	} {
		if got, ok := ReverseAddr(wire(t, name)); ok {
			t.Errorf("%s is the name of %s", name, got)
		}
	}
	for _, name := range []string{"", "\x00", "\x01"} {
		if got, ok := ReverseAddr([]byte(name)); ok {
			t.Errorf("%q is the name of %s", name, got)
		}
	}
}

// reverseName is the name for an address, by the definitions and not by the code that reads it.
func reverseName(a netip.Addr) string {
	var parts []string
	if a.Is4() {
		for _, b := range a.As4() {
			parts = append(parts, fmt.Sprint(b))
		}
	} else {
		for _, c := range strings.ReplaceAll(a.StringExpanded(), ":", "") {
			parts = append(parts, string(c))
		}
	}
	slices.Reverse(parts)
	if a.Is4() {
		return strings.Join(parts, ".") + ".in-addr.arpa"
	}
	return strings.Join(parts, ".") + ".ip6.arpa"
}

// TestAppendName holds the wire form against that of another implementation.
func TestAppendName(t *testing.T) {
	for _, text := range []string{"a", "a.test", "A.Test.", "x-y_z.0.test", strings.Repeat("a", 63) + ".test"} {
		name, err := dnsmessage.NewName(strings.TrimSuffix(strings.ToLower(text), ".") + ".")
		if err != nil {
			t.Fatal(err)
		}
		m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		want := packed[12 : len(packed)-4]
		if got := wire(t, text); string(got) != string(want) || nameLen(got) != len(got) {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", ".", "..", ".a", "a..b", "a b", "a/b", "a*b", "ä\xff", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a.a"} {
		if got, ok := AppendName([]byte("x"), []byte(text)); ok || string(got) != "x" {
			t.Errorf("%q is %q", text, got)
		}
	}
	if longest := wire(t, strings.Repeat("a.", 126)+"a"); len(longest) != maxName {
		t.Errorf("%d bytes", len(longest))
	}
}
