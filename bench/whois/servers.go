//go:build linux

package main

import (
	"embed"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
)

//go:embed peers
var peers embed.FS

// startArticle starts the article's server on Debian's Python.
func (b *bench) startArticle() (*child.Server, error) {
	script, err := b.Unpack(peers, "peers/article.py")
	if err != nil {
		return nil, err
	}
	return b.Printing("article", exec.Command(b.python, script, b.database))
}

// options configure whence as in the example; its log goes to the standard error at level INFO, with or without access lines.
func options(database string, access bool) string {
	quiet := ""
	if !access {
		quiet = "\tlog default {\n\t\texclude whois.access\n\t}\n"
	}
	return fmt.Sprintf("%s\tenrich {\n\t\tiana\n\t\tmmdb %s\n\t}\n\twhois {\n\t\tbind 127.0.0.1:0\n\t}\n", quiet, strconv.Quote(database))
}

// startWhence starts the real binary and waits until it answers from the database.
func (b *bench) startWhence(name string, access bool) (*child.Server, error) {
	return b.Caddy(name, b.caddy, child.Caddyfile{Options: options(b.database, access)}, func(s *child.Server) bool {
		if !s.Addr.IsValid() && !s.LoggedAddr(listening) {
			return false
		}
		answer, err := ask(s.Addr, "8.8.8.8")
		return err == nil && strings.Contains(answer, "dbstatus: ok")
	})
}

// listening is the address in the log line of the WHOIS server that names it.
func listening(e child.Entry) string {
	if e.Logger == "whois" && e.Msg == "listening" {
		return e.Address
	}
	return ""
}

// ask asks one query the way a plain client does.
func ask(addr netip.AddrPort, query string) (string, error) {
	c, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, query+"\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}
