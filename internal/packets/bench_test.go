package packets

import (
	"net/netip"
	"testing"
)

// BenchmarkEcho is a question and its reply, with the client's part, which is most of it; of interest are the allocations, and
// what a socket on every address costs beside one on a single address.
func BenchmarkEcho(b *testing.B) {
	for _, address := range []string{"127.0.0.1", "0.0.0.0"} {
		b.Run(address, func(b *testing.B) {
			g := listen(b, address, Options{Sockets: 1})
			c := client(b, "127.0.0.1")
			at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), g.Addr().Port())
			g.Serve(handle(echo))
			msg, buf := make([]byte, 40), make([]byte, 64)
			const window = DefaultBatch
			b.ReportAllocs()
			for asked, heard := 0, 0; heard < b.N; heard++ {
				for ; asked < b.N && asked-heard < window; asked++ {
					c.WriteToUDPAddrPort(msg, at)
				}
				if _, _, err := c.ReadFromUDPAddrPort(buf); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			n := g.Counters()
			b.ReportMetric(float64(n.Received)/float64(n.Batches), "packets/batch")
		})
	}
}
