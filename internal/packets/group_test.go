package packets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// TestServe swaps handlers while clients ask as fast as they are answered: every question is answered, once, and a handler that
// was swapped for another or withdrawn is not called any more.
func TestServe(t *testing.T) {
	drivers(t, func(t *testing.T, o Options) {
		o.Sockets = 2
		g := listen(t, "127.0.0.1", o)
		var asking sync.WaitGroup
		var stop atomic.Bool
		var answered atomic.Int64
		for range 4 {
			c := client(t, "127.0.0.1")
			asking.Go(func() {
				buf := make([]byte, 64)
				const window = 8
				sent, heard := uint32(0), make(map[uint32]bool)
				for !stop.Load() || len(heard) < int(sent) {
					for ; !stop.Load() && int(sent)-len(heard) < window; sent++ {
						c.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, sent), g.Addr())
					}
					n, _, err := c.ReadFromUDPAddrPort(buf)
					if err != nil {
						t.Errorf("after %d answers of %d: %v", len(heard), sent, err)
						return
					}
					id := binary.BigEndian.Uint32(buf[:n])
					if heard[id] {
						t.Errorf("%d was answered twice", id)
					}
					heard[id] = true
					answered.Add(1)
				}
			})
		}
		var current atomic.Int64
		handler := func(n int64) Handler {
			return handle(func(b *Batch) {
				if c := current.Load(); n < c {
					t.Errorf("handler %d is called after %d took over", n, c)
				}
				echo(b)
			})
		}
		var withdraw []func()
		for n := range int64(300) {
			withdraw = append(withdraw, g.Serve(handler(n)))
			current.Store(n)
			if n >= 3 {
				withdraw[n-3]()
			}
			if n%10 == 0 {
				for before := answered.Load(); answered.Load() == before && !t.Failed(); {
					time.Sleep(10 * time.Microsecond)
				}
			}
		}
		stop.Store(true)
		asking.Wait()
	})
}

// TestWithdraw lets packets wait while there is no handler, and goes back to the handler before.
func TestWithdraw(t *testing.T) {
	drivers(t, func(t *testing.T, o Options) {
		g := listen(t, "127.0.0.1", o)
		c := client(t, "127.0.0.1")
		says := func(word string) Handler {
			return handle(func(b *Batch) {
				for i := range b.Len() {
					b.SetReply(i, copy(b.Reply(i), word))
				}
			})
		}
		ask := func(want string) {
			t.Helper()
			send(t, c, g.Addr(), "?")
			if got, _ := receive(t, c); got != want {
				t.Errorf("%s answered, not %s", got, want)
			}
		}
		withdrawOld := g.Serve(says("old"))
		ask("old")
		withdrawNew := g.Serve(says("new"))
		ask("new")
		withdrawNew()
		withdrawNew()
		ask("old")
		withdrawOld()
		send(t, c, g.Addr(), "?")
		send(t, c, g.Addr(), "?")
		g.Serve(says("newest"))
		for range 2 {
			if got, _ := receive(t, c); got != "newest" {
				t.Errorf("%s answered what had waited", got)
			}
		}
	})
}

func TestClose(t *testing.T) {
	drivers(t, func(t *testing.T, o Options) {
		for name, prepare := range map[string]func(t *testing.T, g *Group){
			"without a handler": func(*testing.T, *Group) {},
			"without a handler, packets waiting": func(t *testing.T, g *Group) {
				send(t, client(t, "127.0.0.1"), g.Addr(), "?")
			},
			"idle": func(t *testing.T, g *Group) { g.Serve(handle(echo)) },
			"busy": func(t *testing.T, g *Group) {
				g.Serve(handle(echo))
				c, flood := client(t, "127.0.0.1"), make(chan struct{})
				go func() {
					defer close(flood)
					for {
						if _, err := c.WriteToUDPAddrPort([]byte("?"), g.Addr()); errors.Is(err, net.ErrClosed) {
							return
						}
					}
				}()
				t.Cleanup(func() { c.Close(); <-flood })
				waitFor(t, "answers", func() bool { return g.Counters().Sent > 100 })
			},
			"from several sides": func(t *testing.T, g *Group) {
				g.Serve(handle(echo))
				for range 3 {
					go g.Close()
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				g := listen(t, "127.0.0.1", o)
				prepare(t, g)
				for range 2 {
					if err := g.Close(); err != nil {
						t.Fatal(err)
					}
				}
				again, err := Listen(g.Addr(), o)
				if err != nil {
					t.Fatalf("the address is not free again: %v", err)
				}
				again.Close()
			})
		}
	})
}

// TestAdopt serves a socket that was opened elsewhere, on one address and on every one of both families.
func TestAdopt(t *testing.T) {
	drivers(t, func(t *testing.T, o Options) {
		for _, address := range []string{"127.0.0.1:0", ":0"} {
			pc, err := net.ListenPacket("udp", address)
			if err != nil {
				t.Fatal(err)
			}
			port := pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()
			g, err := Adopt(pc.(*net.UDPConn), o)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Serve(handle(echo))()
			if g.Sockets() != 1 || g.Addr().Port() != port {
				t.Errorf("%d sockets on %s, want one on port %d", g.Sockets(), g.Addr(), port)
			}
			c := client(t, "127.0.0.1")
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
			send(t, c, to, "hello")
			if got, from := receive(t, c); got != "hello" || from != to {
				t.Errorf("%q from %s", got, from)
			}
			if err := g.Close(); err != nil {
				t.Error(err)
			}
			if err := pc.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the socket of a closed group is closed: %v", err)
			}
		}
	})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, err := Adopt(pc.(*net.UDPConn), Options{Batch: MaxBatch + 1}); err == nil {
		t.Error("adopted with a batch that is too large")
	}
}

// TestInUse is also the other process: it listens, says where, and ends when its standard input does.
func TestInUse(t *testing.T) {
	const other = "PACKETS_TEST_LISTEN"
	if address := os.Getenv(other); address != "" {
		g := listen(t, address, Options{Sockets: 2})
		fmt.Println("listening", g.Addr())
		bufio.NewReader(os.Stdin).ReadByte()
		return
	}
	for _, tt := range []struct{ theirs, ours string }{
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1", "0.0.0.0"},
		{"0.0.0.0", "127.0.0.1"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestInUse$")
		cmd.Env = append(os.Environ(), other+"="+tt.theirs)
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		at, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
		if !ok {
			t.Fatalf("the other process said %q, %v", line, err)
		}
		address := netip.AddrPortFrom(netip.MustParseAddr(tt.ours), netip.MustParseAddrPort(at).Port())
		inUse(t, address, fmt.Sprintf("(pid %d)", cmd.Process.Pid))
		in.Close()
		cmd.Wait()
	}
	g := listen(t, "127.0.0.1", Options{Sockets: 2})
	inUse(t, g.Addr(), "another server of this configuration")
}

func inUse(t *testing.T, address netip.AddrPort, holder string) {
	t.Helper()
	g, err := Listen(address, Options{Sockets: 2})
	if err == nil {
		g.Close()
	}
	var taken *InUseError
	if !errors.As(err, &taken) || !isInUse(err) || taken.Address != address {
		t.Fatalf("listening on %s, which is taken: %v", address, err)
	}
	if batched && !strings.Contains(err.Error(), holder) {
		t.Errorf("%v: want it to name %s", err, holder)
	}
}

func TestExplain(t *testing.T) {
	err := explain(netip.MustParseAddrPort("127.0.0.1:53"), &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)})
	var denied *PermissionError
	if !errors.As(err, &denied) || !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "127.0.0.1:53") {
		t.Errorf("permission denied: %v", err)
	}
	if err := explain(netip.AddrPort{}, net.ErrClosed); err != net.ErrClosed {
		t.Errorf("another error became %v", err)
	}
}

func TestOptions(t *testing.T) {
	local := netip.MustParseAddrPort("127.0.0.1:0")
	for _, o := range []Options{
		{Sockets: -1}, {Batch: MaxBatch + 1}, {Batch: -1}, {ReadBuffer: -1}, {MaxPacket: MaxSize + 1}, {MaxReply: MaxSize + 1},
	} {
		if g, err := Listen(local, o); err == nil {
			g.Close()
			t.Errorf("%+v was taken", o)
		}
	}
	if g, err := Listen(netip.AddrPort{}, Options{}); err == nil {
		g.Close()
		t.Error("no address was taken")
	}
	g := listen(t, "127.0.0.1", Options{Sockets: 3, ReadBuffer: 100_000})
	if batched && (g.Sockets() != 3 || g.ReadBuffer() != 100_000) {
		t.Errorf("%d sockets that keep %d bytes", g.Sockets(), g.ReadBuffer())
	}
	// An address that is nobody's: TEST-NET-1.
	if g, err := Listen(netip.MustParseAddrPort("192.0.2.1:0"), Options{}); err == nil {
		g.Close()
		t.Error("192.0.2.1 is ours?")
	}
	if g, err := Listen(netip.MustParseAddrPort("192.0.2.1:0"), Options{FreeBind: true}); (err == nil) != batched {
		t.Errorf("FreeBind: %v", err)
	} else if err == nil {
		g.Close()
	}
}

// TestV6Only listens on both families' every address, side by side.
func TestV6Only(t *testing.T) {
	four := listen(t, "0.0.0.0", Options{})
	six, err := Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), four.Addr().Port()), Options{V6Only: true})
	if err != nil {
		testenv.Skip(t, "no IPv6 here: %v", err)
	}
	six.Close()
}

// TestDropped has more packets than the kernel keeps.
func TestDropped(t *testing.T) {
	if !batched {
		t.Skip("the system does not tell")
	}
	g := listen(t, "127.0.0.1", Options{Sockets: 1, ReadBuffer: 4096})
	c := client(t, "127.0.0.1")
	const packets = 500
	for range packets {
		send(t, c, g.Addr(), "?")
	}
	g.Serve(handle(echo))
	waitFor(t, "every packet received or dropped", func() bool {
		n := g.Counters()
		return n.Dropped > 0 && n.Received+n.Dropped == packets
	})
	dropped := g.Counters().Dropped
	g.Close()
	if n := g.Counters().Dropped; n != dropped {
		t.Errorf("%d dropped, and %d once closed", dropped, n)
	}
}
