package caddycommands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/status"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

func statusCommand() *cobra.Command {
	var (
		t      target
		format string
		check  bool
		maxAge string
	)
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "How the sources, the store and the upstream servers of the running server are",
		Long: "Shows what the running server has loaded, how old that is, and what is wrong. With --check the exit status is 1 if there is an\n" +
			"error; warnings, such as a file that is not there yet, are none.",
		Example:           "  caddy whence status\n  caddy whence status --check --max-age 45d > /dev/null || echo something is wrong",
		Args:              cobra.NoArgs,
		ValidArgsFunction: noArgs,
		RunE: caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
			return exit(t.status(os.Stdout, format, maxAge, check))
		}),
	}
	t.serverFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&format, "format", "text", "text, json (the server's answer) or csv")
	f.BoolVar(&check, "check", false, "exit with status 1 if something is wrong")
	f.StringVar(&maxAge, "max-age", "", "age from which data are too old, such as 45d (default: they may be of any age)")
	oneOf(cmd, "format", "text", "json", "csv")
	return cmd
}

func (t *target) status(w io.Writer, format, maxAge string, check bool) error {
	if err := quiet(); err != nil {
		return err
	}
	show, ok := map[string]func(io.Writer, *serverStatus) error{"text": statusText, "json": statusJSON, "csv": statusCSV}[format]
	if !ok {
		return fmt.Errorf("format %q; there are text, json and csv", format)
	}
	uri := "/whence/status"
	if maxAge != "" {
		uri += "?max_age=" + url.QueryEscape(maxAge)
	}
	s := new(serverStatus)
	if err := t.get(http.MethodGet, uri, nil, s); err != nil {
		return err
	}
	if err := show(w, s); err != nil {
		return err
	}
	if check && !s.Healthy {
		return errors.New("not healthy: " + s.firstError())
	}
	return nil
}

// serverStatus is the answer of /whence/status, as far as it is shown.
type serverStatus struct {
	Healthy    bool
	Problems   []status.Problem
	Chains     map[string][]sourceStatus
	Store      *caddystore.Status
	Dotforward *forwarderStatus
	NATS       *natsStatus
	Workers    *struct {
		Leases  []string
		Workers []registration.Worker
	}
	all    json.RawMessage
	others map[string]json.RawMessage // sections that this program has no form for
}

// sourceStatus is how a source is, with what is shown of its detail.
type sourceStatus struct {
	enrich.SourceStatus
	Detail struct{ Preload *registration.Progress } `json:"detail"`
}

// forwarderStatus is how the DNS forwarder is.
type forwarderStatus struct {
	Healthy   bool
	Upstreams []struct {
		Server    string
		Up        bool
		AverageMS float64 `json:"average_ms"`
		Conns     int     `json:"connections"`
		Queries   uint64
		Failures  map[string]uint64
	}
	Cache struct {
		Entries             int
		Size                int64
		MaxSize             int64 `json:"max_size"`
		Hits, Stale, Misses uint64
	}
	Lists []struct {
		Handler string
		Data    []enrich.DataStatus
	}
}

// natsStatus is how the connection to NATS is.
type natsStatus struct {
	Node, Server string
	URLs         []string
	Connected    bool
	Since        time.Time
}

// state is the connection in words.
func (n *natsStatus) state() string {
	if n.Connected {
		return "connected to " + n.Server
	}
	return "away"
}

// UnmarshalJSON keeps also what it does not know.
func (s *serverStatus) UnmarshalJSON(b []byte) error {
	type known serverStatus
	if err := json.Unmarshal(b, (*known)(s)); err != nil {
		return err
	}
	s.all = slices.Clone(b)
	if err := json.Unmarshal(b, &s.others); err != nil {
		return err
	}
	maps.DeleteFunc(s.others, func(name string, _ json.RawMessage) bool {
		return slices.Contains([]string{"healthy", "problems", "chains", "store", "dotforward", "nats", "workers"}, name)
	})
	return nil
}

func (s *serverStatus) firstError() string {
	for _, p := range s.Problems {
		if p.Level == status.Error {
			return p.Where + ": " + p.Text
		}
	}
	return "the server does not say why"
}

// dataRow is a data set of a source, or the source itself where it has none.
type dataRow struct {
	chain, source string
	enrich.DataStatus
}

// data are the sources' data sets. What is compiled in is one of them.
func (s *serverStatus) data() (rows []dataRow) {
	for _, chain := range slices.Sorted(maps.Keys(s.Chains)) {
		for _, source := range s.Chains[chain] {
			inside := dataRow{chain, source.Name, enrich.DataStatus{Path: "compiled in"}}
			n := len(rows)
			for _, d := range source.Data {
				if d.Path != "" {
					rows = append(rows, dataRow{chain, source.Name, d})
					continue
				}
				if inside.Records += d.Records; d.Built.After(inside.Built) {
					inside.Built = d.Built
				}
			}
			if inside.Records > 0 {
				rows = slices.Insert(rows, n, inside)
			} else if len(rows) == n {
				rows = append(rows, dataRow{chain, source.Name, enrich.DataStatus{Records: source.Records}})
			}
		}
	}
	return rows
}

// preloads are the chains' preloads.
func (s *serverStatus) preloads() map[string]*registration.Progress {
	all := make(map[string]*registration.Progress)
	for chain, sources := range s.Chains {
		for _, source := range sources {
			if p := source.Detail.Preload; p != nil {
				all[chain] = p
			}
		}
	}
	return all
}

// date is a time as tables have it, empty for none.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func failuresOf(m map[string]uint64) string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(m)) {
		if m[kind] > 0 {
			all = append(all, fmt.Sprintf("%s %d", kind, m[kind]))
		}
	}
	return strings.Join(all, ", ")
}
