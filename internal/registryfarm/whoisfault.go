package registryfarm

import (
	"io"
	"strings"
	"time"
)

// misbehave answers where the behaviour is not simply another reply, and reports whether it did.
func (c *call) misbehave() bool {
	switch c.behavior {
	case Throttle, ThrottleDate:
		c.say(throttleText(Retry))
	case ThrottleText:
		c.say(ThrottleTexts[hash(c.name)%uint64(len(ThrottleTexts))])
	case Busy:
		c.say("% The server is too busy, try again in 50 seconds.\r\n")
	case Blocked:
		c.say(blockedText)
	case Hang:
		io.Copy(io.Discard, c.conn) // until the client goes, the farm closes, or the time for reading is over
	case Drip, Reset, Cut:
		c.interrupted()
	case Error:
		c.say("% Internal error 17, the database did not answer.\r\n")
	case Empty:
	case HTML404:
		c.say(webPage404)
	case NotJSON:
		c.say("It works!\r\n")
	case Big, Bomb:
		c.big()
	case NoFinalNewline:
		next := c.whois
		if c.registrar != nil {
			next = c.registrar.whois
		}
		c.send(func(b page) page { return b.s("Registrar WHOIS Server: ").s(next) })
	case OtherName:
		c.name = "other." + c.name
		c.send(nil)
	default:
		return false
	}
	return true
}

// interrupted begins a true reply, and goes on byte by byte, with a reset, or not at all.
func (c *call) interrupted() {
	b := c.reply(nil)
	switch c.behavior {
	case Drip:
		for i := range b {
			if _, err := c.conn.Write(b[i : i+1]); err != nil || !c.farm.pause(c.farm.opt.Drip, nil) {
				return
			}
		}
	case Reset:
		c.conn.Write(b[:20])
		c.guest.leave()
		abort(c.conn)
	default:
		c.conn.Write(b[:len(b)/2])
	}
}

// big is a true reply with comments that do not end.
func (c *call) big() {
	lines := "% " + strings.ReplaceAll(padding, " ", "\r\n% ") + "\r\n"
	c.send(nil)
	for range bigSize / len(padding) {
		c.conn.SetWriteDeadline(time.Now().Add(whoisTimeout))
		if _, err := io.WriteString(c.conn, lines); err != nil {
			return
		}
	}
}

// overLimit answers a client who is over the limit.
func (c *call) overLimit(over verdict) {
	switch {
	case over.banned:
		c.say(blockedText)
	case c.Limit.Over == Drop:
		c.guest.leave()
		abort(c.conn)
	case c.Limit.Over == Words:
		c.say(ThrottleTexts[hash(c.name)%uint64(len(ThrottleTexts))])
	case c.Limit.Over == Silent || over.wait == 0:
		c.say(ThrottleTexts[0])
	default:
		c.say(throttleText(over.wait))
	}
}
