package caddycommands

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/whence-project/whence/caddymodule/internal/lookups"
)

const (
	batchLines = 512
	batchBytes = 512 << 10 // half of what the server takes
)

// there has the running server answer.
func (l *lookup) there(_ context.Context, lines []string, write func([]byte) error) (notFound int, err error) {
	q := url.Values{}
	for name, value := range map[string]string{"chain": l.chain, "form": l.form} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, on := range map[string]bool{"raw": l.raw, "registry": l.registry} {
		if on {
			q.Set(name, "true")
		}
	}
	if l.wait > 0 {
		q.Set("wait", l.wait.String())
	}
	if l.answered > 0 {
		q.Set("before", strconv.Itoa(l.answered))
	}
	l.answered += len(lines)
	resp, err := l.request(http.MethodPost, "/whence/lookup?"+q.Encode(), strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for {
		answer, err := r.ReadBytes('\n')
		if len(answer) > 0 {
			if err := write(answer); err != nil {
				return 0, err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return strconv.Atoi(resp.Trailer.Get("Whence-Not-Found"))
}

// batches calls f with the lines of in, many at a time, but no later than there is nothing to read: who types a line waits for its
// answer.
func batches(in io.Reader, f func(lines []string) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var lines []string
	size := 0
	send := func() error {
		defer func() { lines, size = lines[:0], 0 }()
		if len(lines) == 0 {
			return nil
		}
		return f(lines)
	}
	for {
		line, err := readLine(r)
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
			size += len(line)
		}
		here, _ := r.Peek(r.Buffered())
		if err != nil || len(lines) >= batchLines || size >= batchBytes || bytes.IndexByte(here, '\n') < 0 {
			if serr := send(); serr != nil {
				return serr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine is the next line, of one that is too long to be a subject the beginning.
func readLine(r *bufio.Reader) (string, error) {
	line, more, err := r.ReadLine()
	text := string(line[:min(len(line), lookups.MaxLine+1)])
	for more && err == nil {
		_, more, err = r.ReadLine()
	}
	return text, err
}
