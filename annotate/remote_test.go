package annotate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whence-project/whence/enrich"
)

// server answers as the admin API does, from the plan.
func server(asked *atomic.Int64) Lookup {
	chain := planned()
	return Remote(func(ctx context.Context, subjects io.Reader) (io.ReadCloser, error) {
		var out []byte
		for lines := bufio.NewScanner(subjects); lines.Scan(); asked.Add(1) {
			s, err := enrich.ParseSubject(lines.Text())
			if err != nil || s.String() == "example.com" {
				out = append(out, "{\"error\":\"refused\"}\n"...)
				continue
			}
			out = append(chain.Answer(ctx, s, 0).AppendJSON(out), '\n')
		}
		return io.NopCloser(bytes.NewReader(out)), nil
	})
}

// TestRemote has a server answer as the chain does.
func TestRemote(t *testing.T) {
	log := "8.8.8.8 2001:4860::1 9.9.9.9 10.0.0.1 1.2.3.4 example.org example.com\n"
	for _, o := range []Options{
		{Format: Text, Names: true, Fields: []string{"asn", "country_code", "as_name", "network", "rank", "site", "rfc", "globally_reachable"}},
		{Format: JSON, Names: true, Fields: []string{"asn", "rank", "site", "rfc", "globally_reachable"}, Summary: true},
	} {
		if o.Format == JSON {
			log = `{"m":"` + strings.TrimSpace(log) + `"}` + "\n"
		}
		local := mustNew(t, o)
		var asked atomic.Int64
		o.Lookup = server(&asked)
		remote := mustNew(t, o)
		if got, want := annotated(t, remote, "", strings.Repeat(log, 500)), annotated(t, local, "", strings.Repeat(log, 500)); got != want {
			t.Errorf("%v:\nasked: %.500s\nhere:  %.500s", o.Format, got, want)
		}
		if got, want := fmt.Sprint(*remote.Summary(10)), fmt.Sprint(*local.Summary(10)); got != want {
			t.Errorf("%v:\nasked: %v\nhere:  %v", o.Format, got, want)
		}
		if n := asked.Load(); n < 6 || n > int64(7*len(remote.workers)) {
			t.Errorf("%v: %d subjects were asked about", o.Format, n)
		}
	}
}

func TestRemoteFaults(t *testing.T) {
	down := errors.New("connection refused")
	for _, tt := range []struct {
		answer string
		err    error
		want   string
	}{
		{"", down, "connection refused"},
		{"{}\n", nil, "answer 2 of 2: unexpected EOF"},
		{"<html>", nil, "answer 1 of 2: invalid character"},
		{`{"subject":"1.1.1.1"}`, nil, `answer 1 of 2 is about "1.1.1.1", not 8.8.8.8`},
	} {
		a := mustNew(t, Options{Format: Text, Lookup: Remote(func(context.Context, io.Reader) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(tt.answer)), tt.err
		})})
		var out bytes.Buffer
		err := a.Annotate(context.Background(), Log{In: strings.NewReader("8.8.8.8 9.9.9.9\n"), Out: &out})
		if err == nil || !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
			t.Errorf("%q: %v, %q; want %s", tt.answer, err, out.String(), tt.want)
		}
	}
}
