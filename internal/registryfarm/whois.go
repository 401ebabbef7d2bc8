package registryfarm

import (
	"io"
	"net"
	"strings"
	"time"
)

const (
	maxQuery     = 1024 // bytes of a WHOIS query, the end of the line included
	whoisTimeout = time.Minute
)

// accept serves a WHOIS listener until it is closed.
func (r *registry) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			select {
			case <-r.farm.done:
				return
			case <-time.After(10 * time.Millisecond): // no file descriptors, for one
				continue
			}
		}
		r.records.connections.Add(1)
		if !r.iana {
			r.farm.total.connections.Add(1)
		}
		if !r.farm.servers.keep(conn) {
			conn.Close()
			return
		}
		r.farm.servers.wg.Go(func() {
			defer r.farm.servers.drop(conn)
			r.serveWHOIS(conn)
		})
	}
}

// call is one WHOIS query.
type call struct {
	*registry
	guest    guest
	conn     net.Conn
	name     string
	behavior Behaviour
}

// serveWHOIS answers the query of a connection (RFC 3912). It is read also where it does not matter: what is unread when a
// connection is closed makes that a reset, which can overtake the answer.
func (r *registry) serveWHOIS(conn net.Conn) {
	from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	crowd := r.arrive(from, WHOIS)
	c := &call{registry: r, conn: conn, guest: guest{registry: r, from: from, protocol: WHOIS}}
	defer c.guest.leave()
	conn.SetReadDeadline(time.Now().Add(whoisTimeout))
	raw, ok := readQuery(conn)
	if !ok {
		r.malformed()
		return
	}
	known := c.parse(raw)
	over := r.asked(from, WHOIS, c.name, raw, nil, crowd)
	switch {
	case over.over:
		c.overLimit(over)
		return
	case !r.delay(nil):
		return
	case !known:
		r.malformed()
		c.say("% Malformed query.\r\n")
		return
	}
	c.answer()
}

// readQuery reads a line, and is it with its end.
func readQuery(conn net.Conn) (string, bool) {
	var buf [maxQuery]byte
	n := 0
	for n < len(buf) {
		m, err := conn.Read(buf[n:])
		n += m
		if m > 0 && buf[n-1] == '\n' {
			return string(buf[:n]), true
		}
		if err != nil {
			break
		}
	}
	return string(buf[:n]), false
}

// parse takes the name out of a query, and reports whether there is one.
func (c *call) parse(raw string) bool {
	line := strings.TrimRight(raw, "\r\n")
	if before, after, ok := strings.Cut(c.Form, "%s"); ok {
		rest, ok1 := strings.CutPrefix(line, before)
		name, ok2 := strings.CutSuffix(rest, after)
		if !ok1 || !ok2 {
			return false
		}
		line = name
	} else if fields := strings.Fields(line); len(fields) > 0 { // "domain =%s", "-T dn %s", "%s/e"
		line = strings.TrimPrefix(fields[len(fields)-1], "=")
		line = strings.TrimSuffix(line, "/e")
	}
	var ok bool
	c.name, ok = canonical(line)
	if !ok && c.iana {
		if _, ok = parsePrefix(line); ok {
			c.name = line
		}
	}
	return ok
}

func (c *call) say(text string) { io.WriteString(c.conn, text) }

// answer answers by behaviour.
func (c *call) answer() {
	c.behavior = c.registry.behaviour(c.name)
	if !c.iana && !c.has(c.name) {
		c.stray()
		c.say("% This server is not authoritative for the TLD: it is not supported.\r\n")
		return
	}
	if c.misbehave() {
		return
	}
	switch {
	case c.iana:
		c.say(c.refer())
	case c.moved != nil && c.moved.whois != "":
		c.say("% This object is kept elsewhere.\r\n\r\nReferralServer: whois://" + c.moved.whois + "\r\n")
	default:
		c.send(nil)
	}
}

// send renders the reply about the name and sends it, with more behind it.
func (c *call) send(more func(page) page) {
	buf := pages.Get().(*page)
	defer pages.Put(buf)
	*buf = c.reply((*buf)[:0])
	if more != nil {
		*buf = more(*buf)
	}
	c.conn.Write(c.behavior.encode(*buf))
}

// reply is what the registry says about the name.
func (c *call) reply(b page) page {
	facts := Expected(c.name)
	switch c.behavior {
	case Free:
		return b.free(c.Style, c.name)
	case Reserved:
		return b.reserved(c.Style, c.name)
	}
	return b.record(&record{Facts: &facts, style: c.Style, contacts: !c.Thin, referral: c.referral()})
}

// referral is the WHOIS server that the reply refers to, empty for none.
func (c *call) referral() string {
	next := ""
	if c.registrar != nil && c.Thin {
		next = c.registrar.whois
	}
	switch c.behavior {
	case LoopSelf:
		return c.whois
	case NoFinalNewline: // at the end
		return ""
	case Private, Lead:
		return c.farm.PrivateTarget(c.name)
	case Loop, LoopFar:
		if next == "" {
			if back := c.farm.responsible(c.name); back != nil {
				return back.whois
			}
		}
	}
	return next
}
