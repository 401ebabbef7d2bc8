package lists

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

const maxLine = 64 << 10 // bytes

var bom = []byte("\xef\xbb\xbf")

// eachLine gives the lines of in, without blanks around them, to line; what is longer than maxLine goes to long instead. It fails
// where in does, where the context ends, and with the first error of line.
func eachLine(ctx context.Context, in io.Reader, line func(number int, text []byte) error, long func(number int, text []byte)) error {
	br := bufio.NewReaderSize(in, maxLine)
	for number := 1; ; number++ {
		if number%(1<<14) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		text, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long(number, text)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n')
			}
			text = nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		if number == 1 {
			text = bytes.TrimPrefix(text, bom)
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			if err := line(number, text); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

var errEmpty = errors.New("empty; a list that is to have nothing says so in a comment")

// verdict says whether what was read can be a list: a page with an error message, saved under a list's name, must not take its
// place, nor a file that is just being written.
func (r *report) verdict() error {
	left, count := r.all()
	switch {
	case r.lines == 0:
		return errEmpty
	case len(left) == 0:
		return nil
	case r.bad() > r.rules+count-r.bad():
		l := r.left[NotUnderstood]
		if l.Count == 0 {
			l = r.left[TooLong]
		}
		return fmt.Errorf("%d of %d entries are no rules; line %d: %s", r.bad(), r.rules+count, l.Line, l.Text)
	case r.rules == 0:
		return fmt.Errorf("no rule in it; line %d is %s: %s", left[0].Line, left[0].Reason, left[0].Text)
	}
	return nil
}
