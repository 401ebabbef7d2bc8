package dotforward

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/wire"
)

// noOne is a handler that answers for the servers.
type noOne struct{}

func (noOne) Stage() Stage            { return Resolve }
func (noOne) Handle(q *Query) Verdict { return q.Refuse(wire.EDEOther, "a text that has some length") }

// FuzzServe has messages of any bytes answered: nothing panics, a reply is about what was asked, can be read, and is no longer than
// the client takes; what is no query has none.
func FuzzServe(f *testing.F) {
	r := newRig(f, func(o *Options) { o.Handlers = []Handler{noOne{}, NewBlock(blocklist(f, "||ads.test^"), BlockZero, 0)} })
	f.Cleanup(r.close)
	full := query("www.ads.test.", dns.TypeA, true)
	for _, o := range []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"},
		&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE},
		&dns.EDNS0_PADDING{Padding: make([]byte, 8)},
	} {
		full.IsEdns0().Option = append(full.IsEdns0().Option, o)
	}
	for i, m := range []*dns.Msg{full, query("www.example.org.", dns.TypeANY, true), query(".", dns.TypeNS, false)} {
		f.Add(pack(f, m), uint8(i))
	}
	f.Fuzz(func(t *testing.T, msg []byte, transport uint8) {
		t2 := Transport(transport % uint8(transports))
		replies := 0
		r.ServeMessage(msg, client, t2, func(reply []byte) {
			replies++
			if reply == nil {
				if len(msg) >= wire.HeaderLen && len(msg) <= wire.MaxLen && msg[2]&0x80 == 0 {
					t.Error("a query without a reply")
				}
				return
			}
			m := new(dns.Msg)
			if err := m.Unpack(reply); err != nil {
				t.Fatalf("%x: %v", reply, err)
			}
			if !m.Response || !bytes.Equal(reply[:2], msg[:2]) || t2 == UDP && len(reply) > DefaultUDPSize {
				t.Errorf("%x\n%v", reply, m)
			}
		})
		if replies != 1 {
			t.Errorf("%d calls", replies)
		}
	})
}
