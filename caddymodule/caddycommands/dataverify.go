package caddycommands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/update"
)

func dataVerifyCommand() *cobra.Command {
	var f dataFlags
	cmd := &cobra.Command{
		Use:   "verify [flags] [source|file…]",
		Short: "Open and try out the files of the configuration's sources",
		Long: "Reads every file as its source does, and holds those that were downloaded against the checksum that they had then. It ends with\n" +
			"status 1 if one is bad, or missing though it says where it comes from or is named here.",
		Example: "  caddy whence data verify --config Caddyfile && systemctl reload caddy",
		RunE: caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			return exit(f.verify(fl.Args()))
		}),
	}
	f.flags(cmd)
	return cmd
}

// verdict is what was found about one file.
type verdict struct {
	File    string `json:"file"`
	Source  string `json:"source"`
	State   string `json:"state"` // good, bad or missing
	Records int    `json:"records"`
	Sum     bool   `json:"checksum"` // it was held against the one that it was downloaded with
	Why     string `json:"why,omitempty"`
	fails   bool
}

func (f *dataFlags) verify(args []string) error {
	print, err := printerOf(f.format)
	if err != nil {
		return err
	}
	s, err := f.sources()
	if err != nil {
		return err
	}
	defer s.close()
	ctx, cancel := interruptible()
	defer cancel()
	if err := s.open(ctx); err != nil {
		return err
	}
	files, err := chosen(s.files(), args)
	if err != nil {
		return err
	}
	var verdicts []verdict
	var bad []error
	t := dataTable{head: []string{"file", "source", "state", "records", "checksum", "why"}}
	for _, d := range files {
		if d.Path == "" {
			continue // compiled in
		}
		v := d.judge(ctx, len(args) > 0)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		verdicts = append(verdicts, v)
		t.add(shortPath(v.File), v.Source, v.State, humanize.Comma(int64(v.Records)), yes(v.Sum), v.Why)
		if v.fails {
			bad = append(bad, fmt.Errorf("%s: %s", v.File, v.Why))
		}
	}
	t.all = verdicts
	t.csv = func() (rows [][]string) {
		for _, v := range verdicts {
			rows = append(rows, []string{v.File, v.Source, v.State, strconv.Itoa(v.Records), yes(v.Sum), v.Why})
		}
		return rows
	}
	if err := print(t, os.Stdout); err != nil {
		return err
	}
	return errors.Join(bad...)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// judge tries the file out. Its source has read it already, and says what was wrong with it.
func (f *dataFile) judge(ctx context.Context, named bool) verdict {
	v := verdict{File: f.Path, Source: f.Source, State: "good", Records: f.Records}
	fail := func(state, why string) verdict {
		v.State, v.Why, v.fails = state, enrich.Clean(why), state == "bad" || named || f.upkeep != nil
		return v
	}
	if f.Missing {
		return fail("missing", f.Error)
	}
	if f.Error != "" {
		return fail("bad", f.Error)
	}
	if f.upkeep == nil {
		return v
	}
	if _, err := f.upkeep.Probe(ctx, f.Path); err != nil {
		return fail("bad", err.Error())
	}
	want := f.upkeep.Status().SHA256
	if want == "" {
		v.Why = "not the file that was downloaded, if any was"
		return v
	}
	v.Sum = true
	if got, err := update.Sum(f.Path); err != nil || got != want {
		return fail("bad", fmt.Sprintf("its SHA-256 is %s, and was %s when it was downloaded", got, want))
	}
	return v
}
