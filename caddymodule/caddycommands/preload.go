package caddycommands

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/enrich/registration"
)

// preload is the command's settings.
type preload struct {
	target
	top                  int
	chain, delay, format string
	stop, detach         bool
	headed               bool // CSV's heading has been written
}

func preloadCommand() *cobra.Command {
	p := new(preload)
	cmd := &cobra.Command{
		Use:   "preload [flags] [file|-]",
		Short: "Have the running server look up registrations before anybody asks",
		Long: "Starts a preload on the running server, of the names at the top of the chain's rank list (--top) or of those in a file, one a line,\n" +
			"and shows how far it is until it is done. It goes on in the server, also when this command is interrupted; started again with\n" +
			"the same names, it goes on where it was. With neither it shows the preload that is under way.\n\n" +
			"The server asks each registry no more often than its limits allow: docs/registration.md has them.",
		Example: "  caddy whence preload --top 10000\n  caddy whence preload --delay 0s customers.txt\n  caddy whence preload --stop",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		code, err := p.run(fl.Arg(0))
		if err == nil && code != 0 {
			cmd.SilenceErrors = true // it has been said
		}
		return code, err
	})
	p.serverFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&p.top, "top", 0, "how many names of the rank list")
	f.StringVar(&p.chain, "chain", "", "enrichment chain (default: the default one)")
	f.StringVar(&p.delay, "delay", "", "time between the beginnings of two lookups, such as 100ms (default: that of the configuration)")
	f.StringVar(&p.format, "format", "text", "text; or json or csv: the progress each second, a line each")
	f.BoolVar(&p.stop, "stop", false, "stop the preload that is under way")
	f.BoolVar(&p.detach, "detach", false, "do not wait for the end")
	oneOf(cmd, "format", "text", "json", "csv")
	return cmd
}

// exitInterrupted is the exit status of a program that an interrupt ended, by the shells' custom.
const exitInterrupted = 130

func (p *preload) run(file string) (code int, err error) {
	if err := quiet(); err != nil {
		return 1, err
	}
	if !slices.Contains([]string{"text", "json", "csv"}, p.format) {
		return 1, fmt.Errorf("format %q; there are text, json and csv", p.format)
	}
	if given := btoi(p.top > 0) + btoi(file != "") + btoi(p.stop); given > 1 {
		return 1, errors.New("want one of --top, a file, and --stop")
	}
	ctx, cancel := interruptible()
	defer cancel()
	now, err := p.begin(file)
	if err != nil {
		return 1, err
	}
	if now == nil {
		return 1, errors.New("no preload is under way; start one with --top or a file")
	}
	if now.LeftOut > 0 {
		fmt.Fprintf(os.Stderr, "%d lines are no names\n", now.LeftOut)
	}
	if p.stop || p.detach {
		return 0, p.show(os.Stdout, now)
	}
	return p.follow(ctx, now)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// progressOf is a preload of a chain, as the server tells it.
type progressOf struct {
	Chain string `json:"chain"`
	registration.Progress
	LeftOut int            `json:"left_out,omitempty"`
	Workers map[string]int `json:"workers,omitempty"`
}

// begin starts or stops a preload, or finds the one that there is; nil for none.
func (p *preload) begin(file string) (*progressOf, error) {
	q := url.Values{}
	if p.chain != "" {
		q.Set("chain", p.chain)
	}
	now := new(progressOf)
	switch {
	case p.stop:
		return now, p.get(http.MethodDelete, "/whence/preload?"+q.Encode(), nil, now)
	case p.top == 0 && file == "":
		return p.now()
	}
	if p.delay != "" {
		q.Set("delay", p.delay)
	}
	var names io.Reader
	if file != "" {
		in, err := input(file)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		names = in
	} else {
		q.Set("top", strconv.Itoa(p.top))
	}
	return now, p.get(http.MethodPost, "/whence/preload?"+q.Encode(), names, now)
}

// now asks how far the preload is; nil where there is none.
func (p *preload) now() (*progressOf, error) {
	var all []progressOf
	if err := p.get(http.MethodGet, "/whence/preload", nil, &all); err != nil {
		return nil, err
	}
	chain := p.chain
	if chain == "" {
		chain = caddyenrich.DefaultChain
	}
	for i := range all {
		if all[i].Chain == chain {
			return &all[i], nil
		}
	}
	return nil, nil
}

// show writes the progress as a line.
func (p *preload) show(w io.Writer, now *progressOf) error {
	switch p.format {
	case "json":
		return json.NewEncoder(w).Encode(now)
	case "csv":
		if !p.headed {
			p.headed = true
			fmt.Fprintln(w, "chain,state,names,done,failed,resumed,rate,left")
		}
		_, err := fmt.Fprintf(w, "%s,%s,%d,%d,%d,%d,%g,%g\n", now.Chain, now.State, now.Names, now.Done, now.Failed, now.Resumed, now.Rate, now.Left)
		return err
	}
	_, err := fmt.Fprintln(w, lineOf(&now.Progress)+by(now.Workers))
	return err
}

// by says what each lookup worker has done.
func by(workers map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(workers)) {
		list = append(list, fmt.Sprintf("%s %d", name, workers[name]))
	}
	if len(list) == 0 {
		return ""
	}
	return "; " + strings.Join(list, ", ")
}

func lineOf(p *registration.Progress) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %d of %d names, %d failed", p.State, p.Done, p.Names, p.Failed)
	if p.Resumed > 0 {
		fmt.Fprintf(&b, ", %d were done before", p.Resumed)
	}
	if p.State == registration.PreloadRunning {
		fmt.Fprintf(&b, ", %.1f/s, %s left", p.Rate, time.Duration(p.Left)*time.Second)
	}
	if !p.Finished.IsZero() {
		fmt.Fprintf(&b, ", took %s", p.Finished.Sub(p.Started).Round(time.Second/10))
	}
	return b.String()
}
