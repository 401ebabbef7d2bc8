//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
)

// checkLines reads answers to their end and holds the subject of each against the names.
func checkLines(r io.Reader, names []string) (size int64, err error) {
	buf, kept, i := make([]byte, 256<<10), 0, 0
	for {
		n, err := r.Read(buf[kept:])
		size += int64(n)
		rest := buf[:kept+n]
		for {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				break
			}
			if i == len(names) || !isAbout(rest[:end], names[i]) {
				return size, fmt.Errorf("line %d of %d is %.100q", i+1, len(names), rest[:end])
			}
			i++
			rest = rest[end+1:]
		}
		kept = copy(buf, rest)
		switch {
		case err == io.EOF && (i < len(names) || kept > 0):
			return size, fmt.Errorf("the answers end after line %d of %d", i, len(names))
		case err == io.EOF:
			return size, nil
		case err != nil:
			return size, err
		case kept == len(buf):
			return size, fmt.Errorf("line %d has no end", i+1)
		}
	}
}

// isAbout reports that a line is about that name, with its rank and when it was seen.
func isAbout(line []byte, name string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(`{"subject":"`))
	return ok && len(rest) > len(name) && string(rest[:len(name)]) == name && rest[len(name)] == '"' &&
		bytes.HasPrefix(rest[len(name):], []byte(`","kind":"domain","rank":`)) && rest[len(rest)-1] == '}'
}
