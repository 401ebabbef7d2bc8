//go:build linux

package main

import (
	"embed"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"

	"github.com/whence-project/whence/bench/internal/child"
)

//go:embed peers
var peers embed.FS

// fixedAnswer is as long as an answer of format C.
const fixedAnswer = `{"alerts":["No whois record for example.org"],"category":"ERROR","freq_score":[7.1568,6.3527],"seen_by_isc":"ERROR",` +
	`"seen_by_web":"ERROR","seen_by_you":"Sat, 21 Nov 2026 00:00:00 GMT"}`

// serveFixed is the least that a Go server does over HTTP.
func serveFixed() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	body := []byte(fixedAnswer + "\n")
	log.Fatal(http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})))
}

// startPython starts the server in the style of the originals.
func (b *bench) startPython() (*child.Server, error) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		return nil, err
	}
	script, err := b.Unpack(peers, "peers/dict.py")
	if err != nil {
		return nil, err
	}
	return b.Printing("python", exec.Command(python, script, b.plain))
}
