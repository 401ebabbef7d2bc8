//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// An upstream is a DNS-over-TLS server that answers every question, a child of this program with one forwarder for a client. It
// answers what has come together, together, and says over HTTP what its client did.

// seen is what an upstream saw since it was last reset.
type seen struct {
	Addr        netip.AddrPort // where it listens for DNS over TLS
	Handshakes  int64
	Resumed     int64 // of the handshakes
	Connections int64 // most at once
	Queries     int64
	Records     int64   // TLS records with queries in them, about: reads that brought some
	Held        float64 // microseconds from a query's arrival to its answer, mean; only where it was told to wait
}

type upstream struct {
	addr                                                     netip.AddrPort
	delay                                                    atomic.Int64 // of answers, nanoseconds
	handshakes, resumed, open, most, queries, records, heldN atomic.Int64
	held                                                     atomic.Int64 // nanoseconds, all together
}

// serveUpstream is the child. It writes the certificate of its authority to the file ca, and ends with this program.
func serveUpstream(ca string) error {
	cert, err := certify(ca)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"dot"}, MinVersion: tls.VersionTLS12}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	u := &upstream{addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { log.Fatal(http.Serve(control, u.control())) }()
	fmt.Println(control.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go u.serve(tls.Server(c, config))
	}
}

// control answers this program's questions.
func (u *upstream) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) {
		s := seen{
			Addr: u.addr, Handshakes: u.handshakes.Load(), Resumed: u.resumed.Load(), Connections: u.most.Load(),
			Queries: u.queries.Load(), Records: u.records.Load(),
		}
		if n := u.heldN.Load(); n > 0 {
			s.Held = float64(u.held.Load()) / float64(n) / 1e3
		}
		if err := json.NewEncoder(w).Encode(s); err != nil {
			log.Print(err)
		}
	})
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, r *http.Request) {
		delay, err := time.ParseDuration(r.FormValue("delay"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		u.delay.Store(int64(delay))
		for _, n := range []*atomic.Int64{&u.handshakes, &u.resumed, &u.queries, &u.records, &u.held, &u.heldN} {
			n.Store(0)
		}
		u.most.Store(u.open.Load())
	})
	return mux
}

// serve answers one connection.
func (u *upstream) serve(c *tls.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if c.Handshake() != nil {
		return
	}
	_ = c.SetDeadline(time.Time{})
	u.handshakes.Add(1)
	if c.ConnectionState().DidResume {
		u.resumed.Add(1)
	}
	raise(&u.most, u.open.Add(1))
	defer u.open.Add(-1)
	var (
		in      = bufio.NewReaderSize(counted{c, &u.records}, 32<<10)
		query   = make([]byte, 65535)
		out     []byte
		writing sync.Mutex
	)
	for {
		if _, err := io.ReadFull(in, query[:2]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(query))
		if _, err := io.ReadFull(in, query[:n]); err != nil {
			return
		}
		u.queries.Add(1)
		if delay := time.Duration(u.delay.Load()); delay > 0 {
			u.later(c, &writing, appendAnswer(nil, query[:n]), delay)
			continue
		}
		out = appendAnswer(out, query[:n])
		if in.Buffered() >= 2 && len(out) < 12<<10 {
			continue // as much as goes into a record
		}
		writing.Lock()
		_, err := c.Write(out)
		writing.Unlock()
		if err != nil {
			return
		}
		out = out[:0]
	}
}

// later sends an answer after the delay, in the order in which the timers fire.
func (u *upstream) later(c *tls.Conn, writing *sync.Mutex, answer []byte, delay time.Duration) {
	came := time.Now()
	time.AfterFunc(delay, func() {
		writing.Lock()
		defer writing.Unlock()
		u.held.Add(int64(time.Since(came)))
		u.heldN.Add(1)
		_, _ = c.Write(answer)
	})
}

// counted counts the reads that bring something.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (r counted) Read(b []byte) (int, error) {
	r.n.Add(1)
	return r.Reader.Read(b)
}

func raise(most *atomic.Int64, to int64) {
	for old := most.Load(); to > old && !most.CompareAndSwap(old, to); old = most.Load() {
	}
}

const (
	headerLen = 12
	ttl       = 3600
	typeA     = 1
	typeOPT   = 41
)

// appendAnswer appends the answer to a query, with its length before it (RFC 7766 §8): to A the address that belongs to the name,
// to other types that there is none (RFC 2308). To what is no query it appends nothing.
func appendAnswer(out, query []byte) []byte {
	end := headerLen
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	if end+5 > len(query) {
		return out
	}
	question, rest := query[headerLen:end+5], query[end+5:]
	begin := len(out)
	out = append(out, 0, 0, query[0], query[1], 0x80|query[2]&0x79, 0x80|query[3]&0x10, 0, 1, 0, 0, 0, 0, 0, 0)
	out = append(out, question...)
	header := begin + 2
	if binary.BigEndian.Uint16(query[end+1:]) == typeA {
		out[header+7] = 1
		out = append(out, 0xc0, headerLen, 0, typeA, 0, 1, 0, 0, ttl>>8, ttl&0xff, 0, 4)
		address := addressOf(query[headerLen:end])
		out = append(out, address[:]...)
	} else {
		out[header+9] = 1
		out = append(out, 0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 60)
	}
	if len(rest) >= 11 && query[11] > 0 && rest[0] == 0 && binary.BigEndian.Uint16(rest[1:]) == typeOPT {
		out[header+11] = 1
		out = append(out, 0, 0, typeOPT, 0x04, 0xd0, 0, 0, rest[7]&0x80, 0, 0, 0) // 1232 bytes; DO as it came
	}
	binary.BigEndian.PutUint16(out[begin:], uint16(len(out)-header))
	return out
}

// addressOf is the address of a name in wire form without its root label: 10/8 and FNV-1a of the name in lower case. The load generator
// works it out, too.
func addressOf(labels []byte) [4]byte {
	h := uint32(2166136261)
	for _, b := range labels {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		h = (h ^ uint32(b)) * 16777619
	}
	return [4]byte{10, byte(h >> 16), byte(h >> 8), byte(h)}
}
