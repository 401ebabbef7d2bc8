package caddycommands

import (
	"cmp"
	"os"
	"strconv"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/internal/update"
)

func dataListCommand() *cobra.Command {
	var (
		f       dataFlags
		presets bool
	)
	cmd := &cobra.Command{
		Use:   "list [flags] [source|file…]",
		Short: "List the files of the configuration's sources",
		Long: "Lists every file of the configuration's sources: when its data were made, how many records it has, its licence and what that asks\n" +
			"to be shown, where it comes from and when that is asked next. With --presets it lists the publishers' files that are known by name.",
		Example: "  caddy whence data list --config Caddyfile\n  caddy whence data list --presets",
		RunE: caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			if presets {
				return exit(listPresets(f.format))
			}
			return exit(f.list(fl.Args()))
		}),
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&presets, "presets", false, "list what `update` knows by name")
	return cmd
}

func (f *dataFlags) list(args []string) error {
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
	files, err := chosen(append(s.files(), s.registries...), args)
	if err != nil {
		return err
	}
	now := time.Now()
	t := dataTable{head: []string{"file", "source", "type", "built", "age", "records", "size", "licence", "from", "next", "attribution", "error"}, all: files}
	for _, d := range files {
		records := ""
		if d.Records > 0 {
			records = humanize.Comma(int64(d.Records))
		}
		t.add(cmp.Or(shown(d.Path), where(d)), d.Source, d.Type, dateOf(d.Built), ageOf(d.Built, now), records, sizeOf(d.Bytes), d.Licence,
			from(d), timeOf(nextOf(d)), d.Attribution, d.problem())
	}
	t.csv = func() (rows [][]string) {
		for _, d := range files {
			rows = append(rows, []string{d.Path, d.Source, d.Type, dateOf(d.Built), ageOf(d.Built, now), strconv.Itoa(d.Records),
				strconv.FormatInt(d.Bytes, 10), d.Licence, from(d), timeOf(nextOf(d)), d.Attribution, d.problem()})
		}
		return rows
	}
	return print(t, os.Stdout)
}

func shown(path string) string {
	if path == "" {
		return ""
	}
	return shortPath(path)
}

// where is where data are that have no file.
func where(d dataFile) string {
	if d.Update != nil {
		return d.Update.URL
	}
	return "(compiled in)"
}

func from(d dataFile) string {
	if d.Update == nil {
		return ""
	}
	return d.Update.From
}

// nextOf is when a running server asks next.
func nextOf(d dataFile) time.Time {
	if d.Update == nil || d.Update.Checked.IsZero() {
		return time.Time{}
	}
	return d.Update.Checked.Add(time.Duration(d.Update.Every) * time.Second)
}

func (f *dataFile) problem() string {
	if f.Error == "" && f.Update != nil {
		return f.Update.Error
	}
	return f.Error
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func timeOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ageOf is a whole number of days.
func ageOf(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.Itoa(int(max(0, now.Sub(t))/(24*time.Hour))) + "d"
}

// presetRow is a preset as it is shown.
type presetRow struct {
	Name        string `json:"name"`
	Kind        string `json:"source"`
	About       string `json:"about"`
	Wants       string `json:"wants,omitempty"`
	EverySec    int64  `json:"published_every_seconds"`
	Licence     string `json:"licence"`
	Attribution string `json:"attribution,omitempty"`
	URL         string `json:"url"`
	Checksum    bool   `json:"checksum"`
}

func listPresets(format string) error {
	print, err := printerOf(format)
	if err != nil {
		return err
	}
	var rows []presetRow
	t := dataTable{head: []string{"preset", "source", "what", "wants", "licence", "url", "attribution"}}
	for _, p := range update.Presets() {
		r := presetRow{p.Name, p.Kind, p.About, string(p.Auth), int64(p.Every.Seconds()), p.Licence, p.Attribution, p.Origin.Shown(), p.Origin.Sum != ""}
		rows = append(rows, r)
		t.add(r.Name, r.Kind, r.About, r.Wants, r.Licence, r.URL, r.Attribution)
	}
	t.all = rows
	return print(t, os.Stdout)
}
