package packets

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// handle is a handler in one function.
type handle func(b *Batch)

func (h handle) ServePackets(b *Batch) { h(b) }

// echo replies with what was asked, and to nothing with "nothing".
func echo(b *Batch) {
	for i := range b.Len() {
		msg := b.Packet(i)
		if len(msg) == 0 {
			msg = []byte("nothing")
		}
		b.SetReply(i, copy(b.Reply(i), msg))
	}
}

// drivers runs a test with each way of moving packets that the system has.
func drivers(t *testing.T, f func(t *testing.T, o Options)) {
	if batched {
		t.Run("batched", func(t *testing.T) { f(t, Options{}) })
	}
	t.Run("portable", func(t *testing.T) { f(t, Options{portable: true}) })
}

func listen(t testing.TB, address string, o Options) *Group {
	t.Helper()
	g, err := Listen(netip.AddrPortFrom(netip.MustParseAddr(address), 0), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// client is a socket on address that waits for no more than a few seconds.
func client(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func send(t testing.TB, c *net.UDPConn, to netip.AddrPort, msg string) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(msg), to); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, c *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// waitFor waits until the other goroutines have brought about what is wanted.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEcho(t *testing.T) {
	for _, tt := range []struct{ listen, ask, from string }{
		{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.1", "127.0.0.1", "127.0.0.3"},
		{"::1", "::1", "::1"},
		{"::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"},
		// Sockets on every address: the reply must come from the one that was asked, not from the one the kernel would choose.
		{"0.0.0.0", "127.0.0.1", "127.0.0.1"},
		{"0.0.0.0", "127.0.0.9", "127.0.0.1"},
		{"::", "::1", "::1"},
		{"::", "127.0.0.9", "127.0.0.1"},
	} {
		drivers(t, func(t *testing.T, o Options) {
			t.Run(fmt.Sprintf("%s asked at %s by %s", tt.listen, tt.ask, tt.from), func(t *testing.T) { testEcho(t, tt.listen, tt.ask, tt.from, o) })
		})
	}
}

func testEcho(t *testing.T, address, ask, from string, o Options) {
	if a := netip.MustParseAddr(address); a.Is6() && !a.Is4In6() {
		if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
			testenv.Skip(t, "no IPv6 here: %v", err)
		} else {
			c.Close()
		}
	}
	g := listen(t, address, o)
	c := client(t, from)
	at := netip.AddrPortFrom(netip.MustParseAddr(ask), g.Addr().Port())
	me := c.LocalAddr().(*net.UDPAddr).AddrPort()
	me = netip.AddrPortFrom(me.Addr().Unmap(), me.Port())
	var later atomic.Pointer[Peer]
	g.Serve(handle(func(b *Batch) {
		echo(b)
		for i := range b.Len() {
			if b.From(i) != me || b.Local(i) != at.Addr() {
				t.Errorf("a packet from %s to %s, want from %s to %s", b.From(i), b.Local(i), me, at.Addr())
			}
			p := b.Later(i)
			later.Store(&p)
		}
	}))
	for _, msg := range []string{"who", string(bytes.Repeat([]byte{'x'}, DefaultMaxPacket)), "", "again"} {
		send(t, c, at, msg)
		want := msg
		if want == "" {
			want = "nothing"
		}
		if got, from := receive(t, c); got != want || from != at {
			t.Fatalf("asked %.20q, heard %.20q from %s, want %.20q from %s", msg, got, from, want, at)
		}
	}
	p := *later.Load()
	if p.Client() != me || p.Local() != at.Addr() {
		t.Errorf("the peer is %s at %s", p.Client(), p.Local())
	}
	for _, msg := range []string{"later", ""} {
		if err := p.Write([]byte(msg)); err != nil {
			t.Fatal(err)
		}
		if got, from := receive(t, c); got != msg || from != at {
			t.Errorf("later: %q from %s, want %q from %s", got, from, msg, at)
		}
	}
}

func TestZeroPeer(t *testing.T) {
	if err := (Peer{}).Write([]byte("x")); !errors.Is(err, errNobody) {
		t.Errorf("a reply to nobody: %v", err)
	}
}

// TestBatches has a loop held up until many packets wait, of which only some are answered.
func TestBatches(t *testing.T) {
	drivers(t, func(t *testing.T, o Options) {
		for _, address := range []string{"127.0.0.1", "0.0.0.0"} {
			t.Run(address, func(t *testing.T) { testBatches(t, address, o) })
		}
	})
}

func testBatches(t *testing.T, address string, o Options) {
	o.Sockets, o.Batch, o.MaxPacket, o.MaxReply = 1, 4, 64, 16
	g := listen(t, address, o)
	c := client(t, "127.0.0.1")
	asked := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1 + byte(i%3)}) }
	if address == "127.0.0.1" {
		asked = func(int) netip.Addr { return netip.MustParseAddr(address) }
	}
	const packets = 43
	var want []string
	for i := range packets {
		msg := fmt.Sprintf("%d", i)
		switch {
		case i%7 == 3: // dropped by us, wherever in a batch it comes
			msg = fmt.Sprintf("%065d", i)
		case i%3 != 1:
			want = append(want, msg)
		}
		send(t, c, netip.AddrPortFrom(asked(i), g.Addr().Port()), msg)
	}
	g.Serve(handle(func(b *Batch) {
		if n := b.Len(); n < 1 || n > 4 {
			t.Errorf("a batch of %d", n)
		}
		for i := range b.Len() {
			var n int
			fmt.Sscanf(string(b.Packet(i)), "%d", &n)
			if b.Local(i) != asked(n) {
				t.Errorf("packet %d was sent to %s, not to %s", n, b.Local(i), asked(n))
			}
			if n%7 == 3 {
				t.Errorf("packet %d is too long and was shown", n)
			}
			if n%3 != 1 {
				b.SetReply(i, copy(b.Reply(i), b.Packet(i)))
			}
		}
	}))
	var got []string
	for range want {
		msg, _ := receive(t, c)
		got = append(got, msg)
	}
	// One that is too long gives its place to the last of its batch, so the order is not that of sending.
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Fatalf("heard %q, want %q in any order", got, want)
	}
	over, sent := uint64(0), uint64(len(want))
	for i := range packets {
		if i%7 == 3 {
			over++
		}
	}
	waitFor(t, "counters", func() bool { return g.Counters().Received == packets-over })
	n := g.Counters()
	if n.Oversized != over || n.Sent != sent || n.SendErrors != 0 || n.Batches < packets/4/2 || n.Batches > packets {
		t.Errorf("counters %+v, want %d oversized, %d sent", n, over, sent)
	}
}

// TestSendError has one reply in the middle that cannot be sent: IPv4 has room for 65,507 bytes.
func TestSendError(t *testing.T) {
	drivers(t, func(t *testing.T, o Options) {
		o.Sockets, o.MaxReply = 1, MaxSize
		g := listen(t, "127.0.0.1", o)
		c := client(t, "127.0.0.1")
		for _, msg := range []string{"a", "long", "b", "long", "long"} {
			send(t, c, g.Addr(), msg)
		}
		var peer Peer
		g.Serve(handle(func(b *Batch) {
			echo(b)
			for i := range b.Len() {
				peer = b.Later(i)
				if len(b.Packet(i)) > 1 {
					b.SetReply(i, 65_508)
				}
			}
		}))
		for _, want := range []string{"a", "b"} {
			if got, _ := receive(t, c); got != want {
				t.Errorf("heard %.10q, want %q", got, want)
			}
		}
		waitFor(t, "counters", func() bool { return g.Counters().Received == 5 })
		g.Close()
		if n := g.Counters(); n.Sent != 2 || n.SentBytes != 2 || n.SendErrors != 3 {
			t.Errorf("counters %+v", n)
		}
		if err := peer.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a reply at a closed socket: %v", err)
		}
	})
}

func TestSetReplyPanics(t *testing.T) {
	for _, n := range []int{-1, 17} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a reply of %d bytes where 16 have room was taken", n)
				}
			}()
			newBatch(nil, Options{Batch: 1, MaxPacket: 16, MaxReply: 16}).SetReply(0, n)
		}()
	}
}

func TestNoAllocations(t *testing.T) {
	if !batched {
		t.Skip("only batched loops allocate nothing")
	}
	for _, address := range []string{"127.0.0.1", "0.0.0.0"} {
		g := listen(t, address, Options{Sockets: 1})
		c := client(t, "127.0.0.1")
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), g.Addr().Port())
		var peer Peer
		later := []byte("later")
		g.Serve(handle(func(b *Batch) {
			echo(b)
			peer = b.Later(0)
			if err := peer.Write(later); err != nil {
				t.Error(err)
			}
		}))
		msg, buf := []byte("who"), make([]byte, 64)
		if n := testing.AllocsPerRun(200, func() {
			c.WriteToUDPAddrPort(msg, at)
			c.ReadFromUDPAddrPort(buf)
			c.ReadFromUDPAddrPort(buf)
		}); n >= 1 {
			t.Errorf("%s: %v allocations for a packet and its replies", address, n)
		}
	}
}
