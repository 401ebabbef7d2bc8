package domainstats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

// Entries reads a history as a stream. An error that is an [EntryError] is one entry's, and more may follow; any other is the
// last.
func Entries(r io.Reader, form Exchange) iter.Seq2[Entry, error] {
	br := bufio.NewReaderSize(r, 64<<10)
	if bom, _ := br.Peek(3); string(bom) == "\ufeff" {
		_, _ = br.Discard(3)
	}
	if form == ExchangeJSON {
		return func(yield func(Entry, error) bool) { readJSON(br, yield) }
	}
	read := listEntry
	if form == ExchangeFeed {
		read = feedEntry
	}
	return func(yield func(Entry, error) bool) { readLines(br, read, yield) }
}

// readLines hands on what read makes of each line that is not empty or a remark.
func readLines(br *bufio.Reader, read func(position int, line string) (Entry, error), yield func(Entry, error) bool) {
	for position := 1; ; position++ {
		line, err := br.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			_, err = br.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(Entry{}, fmt.Errorf("line %d: %w", position, err))
			return
		}
		text := string(bytes.TrimSpace(line))
		switch {
		case long || len(text) > maxLine:
			if !yield(Entry{}, &EntryError{position, errLine.Error()}) {
				return
			}
		case text != "" && text[0] != '#':
			if e, bad := read(position, text); !yield(e, bad) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// listEntry reads a name, or the last field of a line of a list of popular names.
func listEntry(position int, line string) (Entry, error) {
	if i := strings.LastIndexAny(line, ",;\t"); i >= 0 {
		line = strings.Trim(line[i+1:], ` "`)
	}
	return domainEntry(position, line)
}

// feedEntry reads "+,domain,created,expires" or "-,domain".
func feedEntry(position int, line string) (Entry, error) {
	fields := strings.Split(line, ",")
	if len(fields) < 2 || fields[0] != "+" && fields[0] != "-" {
		return Entry{}, &EntryError{position, cut(line) + ": want +,domain,created,expires or -,domain"}
	}
	e, err := domainEntry(position, strings.TrimSpace(fields[1]))
	if err != nil || fields[0] == "-" {
		e.Remove = err == nil
		return e, err
	}
	e.Tag = "LOCAL"
	for i, into := range []*time.Time{&e.Created, &e.Expires} {
		if len(fields) <= 2+i {
			break
		}
		text := strings.TrimSpace(fields[2+i])
		if *into = parseAnyTime(text); into.IsZero() && text != "" && i == 0 {
			return Entry{}, &EntryError{position, cut(text) + " is no date"}
		}
	}
	return e, nil
}

// parseAnyTime reads a date in one of the forms of the originals, UTC where it does not say; the zero time where it is none.
func parseAnyTime(s string) time.Time {
	for _, layout := range []string{dateText, timeFormatC, time.RFC3339, "2006-01-02 15:04:05.999999", time.DateOnly, time.RFC1123Z} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

const timeFormatC = http.TimeFormat

// exported is an element of format C's JSON.
type exported struct {
	Domain    *string  `json:"domain"`
	SeenByWeb string   `json:"seen_by_web"`
	SeenByISC string   `json:"seen_by_isc"`
	SeenByYou string   `json:"seen_by_you"`
	Expires   *float64 `json:"expires"`
}

func readJSON(br *bufio.Reader, yield func(Entry, error) bool) {
	d := json.NewDecoder(br)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		yield(Entry{}, fmt.Errorf("not a JSON array of domains: %w", orUnexpected(err)))
		return
	}
	for position := 1; d.More(); position++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			yield(Entry{}, fmt.Errorf("element %d, at byte %d: %w", position, d.InputOffset(), err))
			return
		}
		if e, err := jsonEntry(position, raw); !yield(e, err) {
			return
		}
	}
	if _, err := d.Token(); err != nil {
		yield(Entry{}, fmt.Errorf("the array does not end: %w", orUnexpected(err)))
	}
}

func orUnexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func jsonEntry(position int, raw []byte) (Entry, error) {
	var x exported
	if err := json.Unmarshal(raw, &x); err != nil {
		return Entry{}, &EntryError{position, strings.TrimPrefix(err.Error(), "json: ")}
	}
	if x.Domain == nil {
		return Entry{}, &EntryError{position, `an element without "domain"`}
	}
	e, err := domainEntry(position, *x.Domain)
	if err != nil {
		return Entry{}, err
	}
	if e.Created = parseAnyTime(x.SeenByWeb); e.Created.IsZero() && x.SeenByWeb != "" && x.SeenByWeb != "ERROR" {
		return Entry{}, &EntryError{position, cut(x.SeenByWeb) + " is no date"}
	}
	e.First = parseAnyTime(x.SeenByYou)
	if x.Expires != nil {
		e.Expires = epoch(*x.Expires)
	}
	if e.Tag = x.SeenByISC; e.Tag == "ERROR" {
		e.Tag = ""
	}
	return e, nil
}
