package layer4whois

import (
	"bytes"
	"errors"
	"net"
	"unsafe"
)

// maxLine is the longest line that is taken, without its end; RIPE's limit.
const maxLine = 1024

// The sizes of the buffer of a connection: what one query needs, and in bulk what it may grow to.
const (
	lineBuffer = maxLine + 512
	bulkBuffer = 64 << 10
)

var errLineTooLong = errors.New("line too long")

// lineReader reads lines from a connection. A line ends with LF, CR LF, CR, CR NUL (telnet's bare CR, RFC 854) or the end of
// the input. Telnet commands are taken out.
type lineReader struct {
	conn    net.Conn
	buf     []byte
	r, w    int // buf[r:w] is unread
	raw     int // buf[w:w+raw] is the beginning of a telnet command
	afterCR bool
	eof     bool
}

func (l *lineReader) reset(conn net.Conn) { *l = lineReader{conn: conn, buf: l.buf} }

// next is the next line that is complete in the buffer, valid until the next fill. What the input ended with is a line, too.
func (l *lineReader) next() (line []byte, ok bool, err error) {
	if l.afterCR && l.r < l.w {
		if b := l.buf[l.r]; b == '\n' || b == 0 {
			l.r++
		}
		l.afterCR = false
	}
	b := l.buf[l.r:l.w]
	line, n := cutLine(b)
	switch {
	case n > 0:
		l.r += n
		l.afterCR = n == len(b) && b[n-1] == '\r'
	case l.eof && len(b) > 0:
		line, l.r = b, l.w
	case len(b) > maxLine:
		return nil, false, errLineTooLong
	default:
		return nil, false, nil
	}
	if len(line) > maxLine {
		return nil, false, errLineTooLong
	}
	return line, true, nil
}

// cutLine is the first line of b without its end, and how many bytes it takes with its end; n is 0 where b holds no line end.
func cutLine(b []byte) (line []byte, n int) {
	b = b[:min(len(b), maxLine+2)] // a longer line is refused anyway, and a bare CR must not have the whole buffer looked through
	lf := bytes.IndexByte(b, '\n')
	end := lf
	if lf < 0 {
		end = len(b)
	}
	switch cr := bytes.IndexByte(b[:end], '\r'); {
	case cr < 0 && lf < 0:
		return nil, 0
	case cr < 0:
		return b[:lf], lf + 1
	case cr+1 < len(b) && (b[cr+1] == '\n' || b[cr+1] == 0):
		return b[:cr], cr + 2
	default:
		return b[:cr], cr + 1
	}
}

// fill reads once. It returns errLineTooLong where the buffer is full of one unfinished line or telnet command, and what the
// connection's Read returns; the end of the input is no error, but sets eof.
func (l *lineReader) fill() error {
	if l.r > 0 {
		copy(l.buf, l.buf[l.r:l.w+l.raw])
		l.w -= l.r
		l.r = 0
	}
	from := l.w + l.raw
	if from == len(l.buf) {
		return errLineTooLong
	}
	n, err := l.conn.Read(l.buf[from:])
	if n > 0 {
		if l.raw > 0 || bytes.IndexByte(l.buf[from:from+n], iac) >= 0 {
			kept, raw := stripTelnet(l.buf[l.w : from+n])
			l.w, l.raw = l.w+kept, raw
		} else {
			l.w += n
		}
		return nil
	}
	if err != nil && !isEOF(err) {
		return err
	}
	l.eof = err != nil
	return nil
}

// room makes the buffer at least n bytes, so that bulk input is read in larger pieces.
func (l *lineReader) room(n int) {
	if n > len(l.buf) {
		b := make([]byte, n)
		copy(b, l.buf[:l.w+l.raw])
		l.buf = b
	}
}

// drained reports that no byte was read beyond the last line, and that the line's end cannot have another byte to come.
func (l *lineReader) drained() bool { return l.r == l.w && l.raw == 0 && !l.afterCR }

// Telnet commands (RFC 854).
const (
	iac  = 255
	will = 251
	dont = 254
	sb   = 250
	se   = 240
)

// stripTelnet moves what is no telnet command to the front of b. An unfinished command at the end follows it, raw bytes long.
func stripTelnet(b []byte) (kept, raw int) {
	for i := 0; i < len(b); {
		if b[i] != iac {
			b[kept] = b[i]
			kept, i = kept+1, i+1
			continue
		}
		n := telnetCommand(b[i:])
		switch {
		case n == 0:
			return kept, copy(b[kept:], b[i:])
		case n == 2 && b[i+1] == iac: // an escaped 255
			b[kept] = iac
			kept++
		}
		i += n
	}
	return kept, 0
}

// telnetCommand is the length of the command that b begins with, 0 where it is unfinished.
func telnetCommand(b []byte) int {
	switch {
	case len(b) < 2:
		return 0
	case b[1] == sb:
		if i := bytes.Index(b[2:], []byte{iac, se}); i >= 0 {
			return i + 4
		}
		return 0
	case b[1] >= will && b[1] <= dont:
		if len(b) < 3 {
			return 0
		}
		return 3
	case b[1] < se:
		return 1 // no command: the 255 alone is dropped
	}
	return 2
}

// text is the line as a string that shares its bytes, without the blanks and NULs around it. It is valid as long as the line.
func text(line []byte) string {
	for len(line) > 0 && isBlank(line[0]) {
		line = line[1:]
	}
	for len(line) > 0 && isBlank(line[len(line)-1]) {
		line = line[:len(line)-1]
	}
	return unsafe.String(unsafe.SliceData(line), len(line))
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == 0 }
