package domainstats

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/whence-project/whence/enrich"
)

const (
	chunkSize  = 8 << 10 // bytes of a list that are answered together
	maxLine    = 4096    // bytes of a line
	keptAnswer = 1 << 20 // larger buffers of answers are let go

	// Where lines wait, they do so together: as many lines of one list as have this many bytes, in however many chunks they come,
	// and so many of all lists.
	waitingBytes  = 32 << 10
	waitingChunks = 512
	maxWaiting    = 8 << 10
)

// chunk is some lines of a list, and their answers.
type chunk struct {
	in    []byte // whole lines; the last may be without its end
	out   []byte
	until time.Time // the answers may wait until then; zero: they do not
	query enrich.Query
	rec   enrich.Record
	done  chan struct{}
	last  bool // nothing more has arrived: what is answered goes out
}

// stream is a list that is being answered. One goroutine reads it, one writes the answers, in order; between them at most
// API.ahead chunks are answered at the same time. A client that does not read stops the writer, and with it the reader: the
// memory of a list is bounded, however long it is.
type stream struct {
	api     *API
	w       http.ResponseWriter
	ctl     *http.ResponseController
	body    io.Reader
	order   chan *chunk
	written chan struct{}
	wait    time.Duration       // how long a line may wait for what must be fetched
	ahead   *semaphore.Weighted // of the bytes of lines that wait
	ctx     context.Context     // of the lines that wait
	leave   context.CancelFunc
	failed  atomic.Bool
	carry   []byte // the beginning of a line whose end has not come
	skip    bool   // in a line that was too long, up to its end
	left    int64  // bytes the body may still have; -1 for any number
}

// bulk answers POST /v1/lookup: a line for each subject, in order. Nothing is seen, and nothing waited for unless ?wait= says so.
func (a *API) bulk(w http.ResponseWriter, r *http.Request) outcome {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && strings.HasPrefix(media, "multipart/") {
		problem(w, http.StatusUnsupportedMediaType, "send the list as it is: text/plain with a subject a line, or application/x-ndjson")
		return invalid
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		problem(w, http.StatusUnsupportedMediaType, "send the list without a Content-Encoding")
		return invalid
	}
	if a.opt.MaxBody > 0 && r.ContentLength > a.opt.MaxBody {
		problem(w, http.StatusRequestEntityTooLarge, "a list may have "+strconv.FormatInt(a.opt.MaxBody, 10)+" bytes")
		return refused
	}
	wait, err := waitOf(r, 0)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return invalid
	}
	if !a.enter(w, routeBulk) {
		return refused
	}
	defer a.state.streams.Add(-1)
	s := &stream{
		api: a, w: w, ctl: http.NewResponseController(w), body: r.Body, left: -1,
		order: make(chan *chunk, a.ahead), written: make(chan struct{}),
	}
	if wait > 0 && a.fetches {
		s.wait, s.order = wait, make(chan *chunk, waitingChunks)
		s.ahead = semaphore.NewWeighted(waitingBytes)
		s.ctx, s.leave = context.WithCancel(r.Context())
		defer s.leave()
	}
	if a.opt.MaxBody > 0 {
		s.left = a.opt.MaxBody
	}
	// HTTP/1 needs to be told, HTTP/2 and 3 are so.
	if err := s.ctl.EnableFullDuplex(); err != nil && r.ProtoMajor == 1 {
		a.opt.Logger.Debug("the server does not read and write at the same time: long lists are cut off", zap.Error(err))
	}
	w.Header()["Content-Type"] = []string{typeNDJSON}
	go s.write()
	if err = s.read(); err != nil && !errors.Is(err, errTooMuch) && s.leave != nil {
		s.leave()
	}
	close(s.order)
	<-s.written
	_ = s.ctl.SetWriteDeadline(time.Time{})
	if err != nil || s.failed.Load() {
		return refused
	}
	return answered
}

// enter counts a stream, or answers that there are too many.
func (a *API) enter(w http.ResponseWriter, rt route) bool {
	if n := a.state.streams.Add(1); a.opt.MaxStreams > 0 && n > int64(a.opt.MaxStreams) {
		a.state.streams.Add(-1)
		w.Header()["Retry-After"] = []string{"5"}
		refuse(w, rt, http.StatusServiceUnavailable, "as many streams are open as there may be")
		return false
	}
	return true
}

var errTooMuch = errors.New("the list is longer than it may be")

// read hands the list on in chunks of whole lines. A chunk goes out when it is full, or when what has arrived ends in a line end.
func (s *stream) read() (err error) {
	for err == nil && !s.failed.Load() {
		c := s.api.chunks.Get().(*chunk)
		c.in = append(c.in[:0], s.carry...)
		s.carry = s.carry[:0]
		for err == nil {
			from := len(c.in)
			err = s.fill(c)
			if end := 1 + bytes.LastIndexByte(c.in[from:], '\n'); end > 0 {
				s.cut(c, from+end)
				break
			}
			if len(c.in) > maxLine && err == nil { // a line without an end: its beginning is answered, the rest passed over
				s.skip = true
				break
			}
		}
		c.last = cap(c.in)-len(c.in)-len(s.carry) > 0
		s.answer(c)
		s.order <- c
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if errors.Is(err, errTooMuch) {
		c := s.api.chunks.Get().(*chunk)
		c.in, c.last, c.until = c.in[:0], true, time.Time{}
		c.out = append(appendJSONString(append(c.out[:0], `{"error":`...), err.Error()), "}\n"...)
		c.done <- struct{}{}
		s.order <- c
	}
	return err
}

// answer has a chunk answered beside the reader. Where lines wait, it first waits until there are not too many.
func (s *stream) answer(c *chunk) {
	if c.until = (time.Time{}); s.wait == 0 {
		go s.api.answerLines(c)
		return
	}
	c.until = time.Now().Add(s.wait)                            // of the system's clock, by which the chain waits
	_ = s.ahead.Acquire(context.Background(), int64(len(c.in))) // the writer always gives back, and a chunk is never that large
	go s.api.answerWaiting(s.ctx, c)
}

// fill reads once, and passes over the rest of a line that was too long.
func (s *stream) fill(c *chunk) error {
	room := c.in[len(c.in):cap(c.in)]
	if s.left == 0 {
		var one [1]byte
		if n, err := s.body.Read(one[:]); n == 0 {
			return err
		}
		return errTooMuch
	}
	if s.left > 0 && int64(len(room)) > s.left {
		room = room[:s.left]
	}
	_ = s.ctl.SetReadDeadline(time.Now().Add(s.api.opt.Idle))
	n, err := s.body.Read(room)
	if s.left > 0 {
		s.left -= int64(n)
	}
	got := room[:n]
	if s.skip && n > 0 {
		end := 1 + bytes.IndexByte(got, '\n')
		s.skip = end == 0
		if end == 0 {
			end = n
		}
		n = copy(room, got[end:])
	}
	c.in = c.in[:len(c.in)+n]
	return err
}

// cut ends the chunk at end, and keeps what is behind for the next.
func (s *stream) cut(c *chunk, end int) {
	s.carry = append(s.carry, c.in[end:]...)
	c.in = c.in[:end]
}

// write writes the answers in order. What is there goes out when nothing more is being answered, since the client may wait for it.
func (s *stream) write() {
	defer close(s.written)
	for c := range s.order {
		<-c.done
		if len(c.out) > 0 && !s.failed.Load() {
			_ = s.ctl.SetWriteDeadline(time.Now().Add(s.api.opt.Write))
			_, err := s.w.Write(c.out)
			if err == nil && (s.wait > 0 || c.last && len(s.order) == 0) {
				err = s.ctl.Flush()
			}
			if err != nil && !errors.Is(err, http.ErrNotSupported) {
				s.failed.Store(true)
				if s.leave != nil {
					s.leave()
				}
				_ = s.ctl.SetReadDeadline(time.Now()) // the reader may be waiting
			}
		}
		if !c.until.IsZero() {
			s.ahead.Release(int64(len(c.in)))
		}
		if cap(c.out) <= keptAnswer {
			s.api.chunks.Put(c)
		}
	}
}
