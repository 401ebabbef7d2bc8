package annotate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// Remote asks a server. Post sends it subjects, a line each, and returns what it answers: for each line one with the record in
// JSON, as [enrich.Record.AppendJSON] has it, or an object with an error. It is called from several goroutines.
func Remote(post func(ctx context.Context, subjects io.Reader) (io.ReadCloser, error)) Lookup {
	return remote{post}
}

type remote struct {
	post func(context.Context, io.Reader) (io.ReadCloser, error)
}

// generation is always the same: what a server has loaded meanwhile is not known here.
func (remote) generation() uint64 { return 0 }

func (r remote) session(fields []enrich.Pick) session {
	return &remoteSession{post: r.post, fields: fields, values: make([]value, len(fields))}
}

type remoteSession struct {
	post    func(context.Context, io.Reader) (io.ReadCloser, error)
	fields  []enrich.Pick
	values  []value
	request []byte
}

func (s *remoteSession) forget() {}

// askedTogether is how many subjects are sent together: with the longest names they are less than 1 MiB.
const askedTogether = 4096

func (s *remoteSession) ask(ctx context.Context, subjects []enrich.Subject, tell listener) error {
	for first := 0; first < len(subjects); first += askedTogether {
		if err := s.askSome(ctx, subjects, first, min(first+askedTogether, len(subjects)), tell); err != nil {
			return err
		}
	}
	return nil
}

// askSome asks about the subjects [first, last).
func (s *remoteSession) askSome(ctx context.Context, all []enrich.Subject, first, last int, tell listener) error {
	subjects := all[first:last]
	s.request = s.request[:0]
	for _, subject := range subjects {
		s.request = append(subject.AppendTo(s.request), '\n')
	}
	answers, err := s.post(ctx, bytes.NewReader(s.request))
	if err != nil {
		return err
	}
	defer answers.Close()
	dec := json.NewDecoder(answers)
	for i, subject := range subjects {
		var answer map[string]json.RawMessage
		if err := dec.Decode(&answer); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("the server's answer %d of %d: %w", i+1, len(subjects), err)
		}
		var about string
		if raw, ok := answer["subject"]; ok && (json.Unmarshal(raw, &about) != nil || about != subject.String()) {
			return fmt.Errorf("the server's answer %d of %d is about %.80s, not %s", i+1, len(subjects), raw, subject)
		}
		s.read(answer)
		tell.told(first+i, s.values)
	}
	return nil
}

// read takes the values of the fields from an answer.
func (s *remoteSession) read(answer map[string]json.RawMessage) {
	var sources []struct{ Fields map[string]json.RawMessage }
	for i, f := range s.fields {
		if f.Key() != enrich.None || f.Name() == Network {
			s.values[i] = valueOf(answer[f.Name()])
			continue
		}
		if sources == nil {
			_ = json.Unmarshal(answer["sources"], &sources) // an error has none
		}
		s.values[i] = value{}
		for _, source := range sources {
			if s.values[i] = valueOf(source.Fields[f.Name()]); s.values[i].text != "" {
				break
			}
		}
	}
}

// valueOf is a JSON value as it is kept here.
func valueOf(raw json.RawMessage) (v value) {
	if len(raw) == 0 {
		return v
	}
	switch raw[0] {
	case '"':
		_ = json.Unmarshal(raw, &v.text) // the decoder has read it
		v.text = enrich.Clean(v.text)
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list)
		texts := make([]string, 0, len(list))
		for _, raw := range list {
			one := valueOf(raw)
			texts, v.kind = append(texts, one.text), one.kind
		}
		v.text, v.list = strings.Join(texts, "\n"), true
	case 't', 'f':
		v = value{text: string(raw), kind: enrich.Bool}
	case 'n', '{':
	default:
		v = value{text: string(raw), kind: enrich.Number}
	}
	return v
}
