package caddycommands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/update"
)

func dataUpdateCommand() *cobra.Command {
	var (
		f     dataFlags
		force bool
	)
	cmd := &cobra.Command{
		Use:   "update [flags] [source|file…]",
		Short: "Ask now where files come from whether there are newer ones, and put them in place",
		Long: "Does what the option `update` of a source does from time to time: what is newer is downloaded, held against its checksum, tried\n" +
			"out, and put in place in one step. Without arguments all files that name where they come from are brought up to date. It ends\n" +
			"with status 1 if that did not work for one of them; what was there is left as it was.",
		Example: "  caddy whence data update\n  caddy whence data update --config /etc/caddy/Caddyfile rank ./data/ipinfo_lite.mmdb",
		RunE: caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			return exit(f.update(fl.Args(), force))
		}),
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "take data that are older than those that are there, or far fewer, and download what is there again")
	return cmd
}

// updated is what became of one file.
type updated struct {
	File    string         `json:"file"`
	From    string         `json:"from"`
	Outcome update.Outcome `json:"outcome"`
	Checked time.Time      `json:"checked,omitzero"`
	Changed time.Time      `json:"changed,omitzero"`
	Bytes   int64          `json:"bytes,omitempty"`
	Error   string         `json:"error,omitempty"`
}

func (f *dataFlags) update(args []string, force bool) error {
	print, err := printerOf(f.format)
	if err != nil {
		return err
	}
	s, err := f.sources()
	if err != nil {
		return err
	}
	defer s.close()
	files, err := chosen(s.updatable(), args)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("no source of the configuration says where its files come from; see docs/update.md")
	}
	ctx, cancel := interruptible()
	defer cancel()
	var results []updated
	failed := 0
	for _, file := range files {
		r := file.bring(ctx, force)
		if r.Error != "" {
			failed++
		}
		results = append(results, r)
	}
	t := dataTable{head: []string{"file", "from", "outcome", "size", "error"}, all: results}
	for _, r := range results {
		t.add(shortPath(r.File), r.From, string(r.Outcome), sizeOf(r.Bytes), r.Error)
	}
	t.csv = func() (rows [][]string) {
		for _, r := range results {
			rows = append(rows, []string{r.File, r.From, string(r.Outcome), strconv.FormatInt(r.Bytes, 10), r.Error})
		}
		return rows
	}
	if err := print(t, os.Stdout); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files not brought up to date", failed, len(results))
	}
	return nil
}

// updatable are the files that name where they come from.
func (s *dataSources) updatable() (files []dataFile) {
	s.links(func(chain string, l enrich.Link) {
		for _, k := range caddyenrich.UpkeepsOf(l.Source) {
			st := k.Status()
			files = append(files, dataFile{Chain: chain, Source: l.Name, upkeep: k,
				DataStatus: enrich.DataStatus{Path: k.File, Update: &enrich.Update{From: st.From}}})
		}
	})
	return files
}

// bring brings one file up to date, with a bar on a terminal.
func (f *dataFile) bring(ctx context.Context, force bool) updated {
	var bar *progressbar.ProgressBar
	outcome, err := f.upkeep.Check(ctx, update.How{Force: force, Progress: func(done, total int64) {
		if bar == nil {
			bar = progress(total, filepath.Base(f.Path), true)
		}
		if bar != nil {
			_ = bar.Set64(done)
		}
	}})
	if bar != nil {
		_ = bar.Finish()
	}
	st := f.upkeep.Status()
	r := updated{File: f.Path, From: st.From, Outcome: outcome, Checked: st.Checked, Changed: st.Changed}
	if err != nil {
		r.Error = enrich.Clean(err.Error())
	}
	if info, err := os.Stat(f.Path); err == nil {
		r.Bytes = info.Size()
	}
	return r
}

// sizeOf is a number of bytes with its unit, empty for none.
func sizeOf(n int64) string {
	if n <= 0 {
		return ""
	}
	return humanize.IBytes(uint64(n))
}

// shortPath is a path as seen from the working folder, where that is shorter.
func shortPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
