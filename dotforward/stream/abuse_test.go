package stream

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward"
)

// pipe is a client's end of a connection that is served in memory, where the bubble's clock is the only one.
func pipe(t *testing.T, s *Server) net.Conn {
	client, server := net.Pipe()
	go s.ServeConn(server)
	t.Cleanup(func() { client.Close() })
	return client
}

// closedAfter is how long the server keeps the connection open from now on.
func closedAfter(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("read %d bytes, %v, want the end", n, err)
	}
	return time.Since(began)
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{})
		if got := closedAfter(t, pipe(t, s)); got != 10*time.Second {
			t.Errorf("an unused connection was closed after %v, want 10s", got)
		}
		c := pipe(t, s)
		for range 5 {
			time.Sleep(9 * time.Second)
			send(t, c, query(1, false))
			expect(t, c)
		}
		if got := closedAfter(t, c); got != 10*time.Second {
			t.Errorf("closed %v after the last reply, want 10s", got)
		}
		if st := s.Stats(); st.Timeouts != 2 {
			t.Errorf("%+v, want 2 timeouts", st)
		}
	})
}

// A connection is not idle while an answer is waited for, however long; idle time begins when it is there.
func TestNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		s := newServer(t, Options{Handler: d.handle, Idle: time.Second})
		c := pipe(t, s)
		send(t, c, query(1, false))
		q := d.take(t, 1)[0]
		time.Sleep(4500 * time.Millisecond)
		go q.respond(answerTo(q.msg))
		expect(t, c)
		if got := closedAfter(t, c); got != time.Second {
			t.Errorf("closed %v after the reply, want 1s", got)
		}
	})
}

// Half a frame does not hold a connection for longer than an idle one is held, nor do single bytes of it now and then.
func TestSlowloris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{})
		c := pipe(t, s)
		time.Sleep(7 * time.Second)
		q := query(1, false)
		began := time.Now()
		go func() {
			for _, b := range q[:len(q)-1] {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		closedAfter(t, c)
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("closed after %v, want 10s", got)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if n := s.Stats().Open; n != 0 {
			t.Errorf("%d connections open", n)
		}
	})
}

// A query that nobody answers gives its place back, and does not hold the connection for ever.
func TestUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		s := newServer(t, Options{Handler: d.handle, MaxPipeline: 2, Idle: time.Second})
		c := pipe(t, s)
		began := time.Now()
		go c.Write(append(append(query(1, false), query(2, false)...), query(3, false)...))
		d.take(t, 2)
		last := d.take(t, 1)[0]
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("the third query was looked at after %v, want 10s", got)
		}
		go last.respond(answerTo(last.msg))
		expect(t, c)
		if got := closedAfter(t, c); got != time.Second {
			t.Errorf("closed after %v, want 1s", got)
		}
		if st := s.Stats(); st.Unanswered != 2 {
			t.Errorf("%+v, want 2 unanswered", st)
		}
	})
}

// Who does not read its replies is cut off after Write, and holds no more of them than there is room for.
func TestNoReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{})
		c := pipe(t, s)
		began := time.Now()
		send(t, c, query(1, false))
		for {
			if _, err := c.Write(query(2, false)); err != nil {
				break
			}
		}
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("cut off after %v, want 5s", got)
		}
		synctest.Wait()
		if st := s.Stats(); st.Slow != 1 || st.Open != 0 || st.Buffered != 0 {
			t.Errorf("%+v, want one that was slow, and nothing left", st)
		}
	})
}

// Large replies that nobody reads stop what is behind them, and are cut off when all together are too many.
func TestMaxBuffered(t *testing.T) {
	big := func(msg []byte, _ netip.AddrPort, _ dotforward.Transport, respond func([]byte)) {
		go respond(append(append([]byte(nil), msg...), make([]byte, 60_000)...))
	}
	s, addr := serve(t, Options{Handler: big, MaxBuffered: 2 << 20, Write: time.Minute})
	for range 8 {
		c := dial(t, addr)
		go func() {
			for {
				if _, err := c.Write(query(1, false)); err != nil {
					return
				}
			}
		}()
	}
	late := time.Now().Add(soon)
	for s.Stats().Slow < 3 {
		if time.Now().After(late) {
			t.Fatalf("%+v, want clients cut off", s.Stats())
		}
		time.Sleep(time.Millisecond)
		// What is above: a piece of each connection that has none waiting yet.
		if b := s.Stats().Buffered; b > 2<<20+8*(mostUnread+60_100) {
			t.Fatalf("%d bytes buffered", b)
		}
	}
}

// What cannot be a frame ends the connection, after the replies to what came before.
func TestGarbage(t *testing.T) {
	d := newDesk()
	s, addr := serve(t, Options{Handler: d.handle})
	c := dial(t, addr)
	send(t, c, query(1, false), []byte{0, 11}, make([]byte, 100_000))
	q := d.take(t, 1)[0]
	q.respond(answerTo(q.msg))
	expect(t, c)
	expectEOF(t, c)
	if st := s.Stats(); st.Malformed != 1 {
		t.Errorf("%+v, want 1 malformed", st)
	}
}

// Clients that are gone when their replies come hurt nobody else.
func TestResets(t *testing.T) {
	d := newDesk()
	s, addr := serve(t, Options{Handler: d.handle, MaxPerClient: 200})
	var gone sync.WaitGroup
	for range 50 {
		c := dial(t, addr)
		gone.Go(func() {
			c.Write(append(query(1, false), query(2, false)...))
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		})
	}
	gone.Wait()
	c := dial(t, addr)
	send(t, c, query(7, false))
	for got := (*dns.Msg)(nil); got == nil; {
		q := d.take(t, 1)[0]
		q.respond(answerTo(q.msg))
		if q.msg[1] == 7 {
			got = expect(t, c)
		}
	}
	late := time.Now().Add(soon)
	for s.Stats().Open > 1 {
		if time.Now().After(late) {
			t.Fatalf("%d connections open", s.Stats().Open)
		}
		d.mu.Lock()
		calls := d.waiting
		d.waiting = nil
		d.mu.Unlock()
		for _, q := range calls {
			q.respond(answerTo(q.msg))
		}
		time.Sleep(time.Millisecond)
	}
}

// A handler that panics costs the client its connection, and nobody else anything.
func TestPanic(t *testing.T) {
	_, addr := serve(t, Options{Handler: func(msg []byte, a netip.AddrPort, o dotforward.Transport, respond func([]byte)) {
		if msg[1] == 1 {
			panic("boo")
		}
		atOnce(msg, a, o, respond)
	}})
	c, other := dial(t, addr), dial(t, addr)
	send(t, c, query(1, false))
	if _, err := readFrame(c); err == nil {
		t.Error("a reply, want none")
	}
	send(t, other, query(2, false))
	expect(t, other)
}
