package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A server that was down is up again when it answers a probe.
func TestDoHHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		defer s.Server.Close()
		f := newHTTPFarm(t, []*site{s}, PoolOptions{}, nil)
		defer f.end()
		s.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		if r := f.ask("a.test", inTime); !errors.Is(r.err, ErrDown) || !strings.Contains(r.err.Error(), "502") {
			t.Error(r)
		}
		if e := <-f.events; e.Up || e.Err == nil {
			t.Error(e)
		}
		s.behave(answerHTTP)
		if e := <-f.events; !e.Up {
			t.Error(e)
		}
		if r := f.ask("a.test", inTime); r.err != nil {
			t.Error(r)
		}
	})
}

// Connections that end, with and without queries on them, cost no query.
func TestDoHConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		defer s.Server.Close()
		f := newHTTPFarm(t, []*site{s}, PoolOptions{}, nil)
		defer f.end()
		s.behave(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(20 * time.Millisecond)
			answerHTTP(w, r)
		})
		for round := range 3 {
			var waiting []<-chan result
			for i := range 40 { // less than half of what a connection takes: there is one at a time
				waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
			}
			time.Sleep(10 * time.Millisecond)
			s.CloseClientConnections()
			for _, w := range waiting {
				if r := <-w; r.err != nil || r.took > 500*time.Millisecond {
					t.Fatal(round, r)
				}
			}
		}
		s.CloseClientConnections() // while idle
		synctest.Wait()
		if st := f.servers[0].Stats(); st.Conns != 0 || !st.Up {
			t.Errorf("%+v", st)
		}
		if r := f.ask("a.test", inTime); r.err != nil || s.conns.Load() != 5 {
			t.Error(r, s.conns.Load())
		}
	})
}

// A server that sends GOAWAY is asked over another connection from then on.
func TestDoHGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		defer s.Server.Close()
		f := newHTTPFarm(t, []*site{s}, PoolOptions{}, nil)
		defer f.end()
		var n atomic.Int64
		s.behave(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%50 == 0 {
				w.Header().Set("Connection", "close")
			}
			answerHTTP(w, r)
		})
		for i := range 500 {
			if r := f.ask(fmt.Sprintf("n%d.test", i), inTime); r.err != nil || r.took > 100*time.Millisecond {
				t.Fatal(i, r)
			}
		}
		var waiting []<-chan result
		for i := range 300 {
			waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
		}
		for _, w := range waiting {
			if r := <-w; r.err != nil {
				t.Fatal(r)
			}
		}
		if c := s.conns.Load(); c < 10 {
			t.Errorf("%d connections", c)
		}
	})
}

// No more requests are under way than the server and MaxInFlight allow, forgotten ones included; the rest waits.
func TestDoHBounds(t *testing.T) {
	for _, tt := range []struct{ server, client, want int }{{8, 0, 16}, {100, 5, 10}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(func(s *httptest.Server) { s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: tt.server} })
			defer s.Server.Close()
			f := newHTTPFarm(t, []*site{s}, PoolOptions{Patience: time.Hour}, func(o *Options) { o.MaxInFlight = tt.client })
			defer f.end()
			if r := f.ask("first.test", inTime); r.err != nil { // after it the settings are known
				t.Fatal(r)
			}
			synctest.Wait()
			var now, most atomic.Int64
			s.behave(func(w http.ResponseWriter, r *http.Request) {
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(20 * time.Millisecond)
				answerHTTP(w, r)
			})
			var waiting []<-chan result
			for i := range 200 {
				waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
			}
			for _, w := range waiting {
				if r := <-w; r.err != nil {
					t.Fatal(r)
				}
			}
			if m := most.Load(); m > int64(tt.want) || m < int64(tt.want)/2 || s.conns.Load() > 2 {
				t.Errorf("%d requests at once over %d connections", m, s.conns.Load())
			}
		})
	}
}

// A deadline ends the request too, and Close waits for no server.
func TestDoHDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		defer s.Server.Close()
		f := newHTTPFarm(t, []*site{s}, PoolOptions{}, nil)
		ended := make(chan time.Time, 1)
		s.behave(func(w http.ResponseWriter, r *http.Request) {
			if q, _ := io.ReadAll(r.Body); named("lost")(q) {
				<-r.Context().Done()
				ended <- time.Now()
				return
			}
			<-r.Context().Done()
		})
		began := time.Now()
		if r := <-f.start(query("lost.test", 1), 300*time.Millisecond); !errors.Is(r.err, ErrTimeout) || r.took > 325*time.Millisecond {
			t.Error(r)
		}
		if took := (<-ended).Sub(began); took > 350*time.Millisecond {
			t.Errorf("the request went on for %v", took)
		}
		waits := f.start(query("slow.test", 1), inTime)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began = time.Now()
		if err := f.servers[0].Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if r := <-waits; r.err == nil {
			t.Error(r)
		}
		f.end()
	})
}

// Over TCP, with many askers, while the server breaks its connections again and again: every query is answered.
func TestDoHOverTCP(t *testing.T) {
	_, roots := certificate()
	s := newSite(func(s *httptest.Server) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Listener = l
	})
	defer s.Server.Close()
	f := newHTTPFarm(t, []*site{s}, PoolOptions{}, func(o *Options) {
		*o = Options{URL: s.Server.URL + "/dns-query", Roots: roots}
	})
	defer f.end()
	var work sync.WaitGroup
	for n := range 32 {
		work.Go(func() {
			for i := range 50 {
				if r := f.ask(fmt.Sprintf("n%d-%d.test", n, i), inTime); r.err != nil {
					t.Error(r)
				}
				if n == 0 && i%10 == 9 {
					s.CloseClientConnections()
				}
			}
		})
	}
	work.Wait()
	st := f.servers[0].Stats()
	if st.Answers < 32*50 || st.InFlight != 0 || st.Failures["mismatch"] != 0 {
		t.Errorf("%+v", st)
	}
	t.Logf("%d connections, %d resumed, failures %v", st.Connects, st.Resumed, st.Failures)
}
