//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
)

// What this program serves when it is started as its own child, with the address on the standard output: so the processor time
// of the server is a process's own.

// fixedAnswer is as long as a full answer.
var fixedAnswer = []byte("route: 192.0.2.0/24\r\nas_domain: example.org\r\nas_name: Example Networks\r\nasn: AS64500\r\n" +
	"continent: North America\r\ncontinent_code: NA\r\ncountry: United States\r\ncountry_code: US\r\ndbstatus: ok - data found\r\n")

func listenAndServe(what string) {
	serve, ok := map[string]func(net.Conn){"limit": limit, "echo": echo}[what]
	if !ok {
		log.Fatalf("nothing is called %q", what)
	}
	lc := net.ListenConfig{KeepAlive: -1}
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(c)
	}
}

var buffers = sync.Pool{New: func() any { return new([512]byte) }}

// limit is the least that a plain Go server does with a connection: accept, read, write, close.
func limit(c net.Conn) {
	defer c.Close()
	b := buffers.Get().(*[512]byte)
	defer buffers.Put(b)
	if _, err := c.Read(b[:]); err == nil {
		_, _ = c.Write(fixedAnswer)
	}
}

// echo takes the lines of a connection apart and sends each back: the least that a bulk server does.
func echo(c net.Conn) {
	defer c.Close()
	in, out := make([]byte, 0, 64<<10), make([]byte, 0, 128<<10)
	for {
		n, err := c.Read(in[len(in):cap(in)])
		in = in[:len(in)+n]
		rest := in
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			out = append(out, rest[:i+1]...)
			rest = rest[i+1:]
		}
		in = in[:copy(in[:cap(in)], rest)]
		if _, werr := c.Write(out); werr != nil || err == io.EOF || err != nil || len(in) == cap(in) {
			return
		}
		out = out[:0]
	}
}
