package dotforward

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

// What is too much is answered at once, and says so.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			pool, err := upstream.NewPool(upstream.PoolOptions{MaxQueries: 1}, o.Pool.Servers()...)
			if err != nil {
				t.Fatal(err)
			}
			o.Pool = pool
		})
		defer r.close()
		r.fake.Behave(dottest.Behaviour{Delay: time.Second})
		first := r.start(pack(t, query("first.example.org.", dns.TypeA, true)), UDP)
		if got := r.ask("second.example.org.", dns.TypeA, true); got.Rcode != dns.RcodeServerFailure || ede(got) != 0 {
			t.Errorf("%v", got)
		}
		if got := unpack(t, <-first); len(got.Answer) != 1 || r.State().Counters().Shed() != 1 {
			t.Errorf("%v", got)
		}
		synctest.Wait() // the place is free once the answer has been given out
		if got := r.ask("second.example.org.", dns.TypeA, true); len(got.Answer) != 1 {
			t.Errorf("what was shed is not asked again:\n%v", got)
		}
	})
}

func TestDisagreement(t *testing.T) {
	for _, first := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			fake, up, other := upstreamOf(t, "192.0.2.54")
			r := newRig(t, func(o *Options) {
				quorum := upstream.Quorum(2, 2, bytes.Equal)
				pool, err := upstream.NewPool(upstream.PoolOptions{Policy: quorum}, o.Pool.Servers()[0], up)
				if err != nil {
					t.Fatal(err)
				}
				o.Pool, o.AnswerDisagreed = pool, first
			})
			defer r.close()
			defer fake.Stop()
			defer up.Close(context.Background())
			defer other.Close(context.Background())
			fake.Behave(dottest.Behaviour{Address: 66, Delay: time.Second})
			got := r.ask("www.example.org.", dns.TypeA, true)
			if first && len(got.Answer) != 1 || !first && (got.Rcode != dns.RcodeServerFailure || ede(got) != 24) {
				t.Errorf("answer the first: %v\n%v", first, got)
			}
		})
	}
}
