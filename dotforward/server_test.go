package dotforward

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

func TestForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.close()
		m := query("WWW.Example.org.", dns.TypeA, false)
		got := r.exchange(m, UDP)
		if got.Id != m.Id || !got.Response || !got.RecursionAvailable || !got.RecursionDesired || len(got.Answer) != 1 ||
			got.Question[0].Name != "WWW.Example.org." || got.IsEdns0() != nil {
			t.Errorf("first:\n%v", got)
		}
		time.Sleep(10 * time.Second)
		m = query("www.eXample.org.", dns.TypeA, true)
		got = r.exchange(m, TCP)
		if got.Id != m.Id || got.Question[0].Name != "www.eXample.org." || len(got.Answer) != 1 || got.Answer[0].Header().Ttl != 50 ||
			got.IsEdns0() == nil || got.IsEdns0().UDPSize() != DefaultUDPSize {
			t.Errorf("second:\n%v", got)
		}
		if s := r.fake.Stats(); s.Queries != 1 {
			t.Errorf("%d queries upstream, want 1", s.Queries)
		}
		if r.count(OutcomeMiss) != 1 || r.count(OutcomeHit) != 1 {
			t.Error("miss and hit are not counted")
		}
	})
}

func TestNotForwarded(t *testing.T) {
	r := newRig(t, nil)
	defer r.close()
	for _, test := range []struct {
		name   string
		change func(m *dns.Msg)
		rcode  int
		ede    int
	}{
		{"chaos", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused, 21},
		{"axfr", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }, dns.RcodeRefused, 21},
		{"ixfr", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeIXFR }, dns.RcodeRefused, 21},
		{"any", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY }, dns.RcodeSuccess, -1},
		{"opcode", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented, -1},
		{"version", func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers, -1},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError, -1},
		{"no recursion", func(m *dns.Msg) { m.RecursionDesired = false }, dns.RcodeRefused, 0},
	} {
		m := query("www.example.org.", dns.TypeA, true)
		test.change(m)
		got := r.exchange(m, UDP)
		if got.Rcode != test.rcode || ede(got) != test.ede || got.Id != m.Id {
			t.Errorf("%s:\n%v", test.name, got)
		}
	}
	if s := r.fake.Stats(); s.Queries != 0 {
		t.Errorf("%d queries upstream, want none", s.Queries)
	}
	for _, msg := range [][]byte{nil, make([]byte, 11), {0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		select {
		case reply := <-r.start(msg, UDP):
			t.Errorf("%x is answered with %x", msg, reply)
		default:
		}
	}
	if n := r.count(OutcomeDropped); n != 3 || r.dropped.Load() != 3 {
		t.Errorf("%d dropped, want 3", n)
	}
	any := r.ask("www.example.org.", dns.TypeANY, false)
	if len(any.Answer) != 1 || any.Answer[0].(*dns.HINFO).Cpu != "RFC8482" {
		t.Errorf("ANY:\n%v", any)
	}
}

// A server that does not answer, or answers with an error, is answered for with SERVFAIL and the reason, in time.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault dottest.Fault
		ede   int
	}{
		{"servfail", dottest.ServFail, -1},
		{"silent", dottest.Silent, 23},
		{"wrong question", dottest.WrongQuestion, 22},
		{"truncated", dottest.Truncated, 24},
		{"hangs up", dottest.Hangup, 22},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				defer r.close()
				r.fake.Behave(dottest.Behaviour{Fault: test.fault})
				began := time.Now()
				got := r.ask("www.example.org.", dns.TypeA, true)
				took := time.Since(began)
				if got.Rcode != dns.RcodeServerFailure || took > 5*time.Second {
					t.Errorf("after %v:\n%v", took, got)
				}
				if e := ede(got); e != test.ede {
					t.Errorf("EDE %d, want %d", e, test.ede)
				}
				if r.count(OutcomeFailed) != 1 {
					t.Error("the failure is not counted")
				}
			})
		})
	}
}
