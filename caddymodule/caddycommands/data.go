package caddycommands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/enrich"
)

func dataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "The files of the configuration's sources: bring them up to date, list and verify them",
		Long: "Works on the files that the sources of a configuration read, in this process; a running server takes in what has changed by itself.\n" +
			"Without --config, the configuration is the Caddyfile in the working folder.",
		Example: "  caddy whence data list --config /etc/whence/Caddyfile\n  caddy whence data update --config /etc/whence/Caddyfile mmdb",
	}
	cmd.AddCommand(dataUpdateCommand(), dataListCommand(), dataVerifyCommand())
	return cmd
}

// dataFlags are those that all of data's commands have.
type dataFlags struct {
	target
	format string
}

func (f *dataFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file")
	cmd.Flags().StringVarP(&f.adapter, "adapter", "a", "", "adapter for the configuration file")
	cmd.Flags().StringVar(&f.format, "format", "text", "text, json or csv")
	oneOf(cmd, "format", "text", "json", "csv")
}

// dataFile is a file that a source reads.
type dataFile struct {
	Chain  string `json:"chain"`
	Source string `json:"source"` // its name in the chain
	Kind   string `json:"kind"`
	enrich.DataStatus

	upkeep *caddyenrich.Upkeep // nil where it is not kept fresh
}

// dataSources are the sources of a configuration, provisioned in this process.
type dataSources struct {
	app        *caddyenrich.App
	registries []dataFile // of sources that keep what they fetch in the store
}

// sources provisions the sources of the configuration that have files. Nothing runs in the background, and nothing is asked.
func (f *dataFlags) sources() (*dataSources, error) {
	if err := quiet(); err != nil {
		return nil, err
	}
	b, _, _, err := caddycmd.LoadConfig(f.config, f.adapter)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, errors.New("there is no configuration; name one with --config")
	}
	var config struct {
		Storage json.RawMessage `json:"storage"`
		Apps    struct {
			Enrich *caddyenrich.App `json:"enrich"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", f.config, err)
	}
	s, apps := new(dataSources), caddy.ModuleMap{}
	if config.Apps.Enrich != nil {
		s.registries = registriesOf(config.Apps.Enrich)
		if apps["enrich"], err = withFilesOnly(config.Apps.Enrich); err != nil {
			return nil, err
		}
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true},
		Logging:    &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}},
		StorageRaw: config.Storage, // updates are made under its lock
		AppsRaw:    apps,
	})
	if err != nil {
		return nil, err
	}
	app, err := ctx.App("enrich")
	if err != nil {
		return nil, err
	}
	s.app = app.(*caddyenrich.App)
	return s, nil
}

// registriesOf are the files that sources registration fetch and keep in the store, which is not opened here.
func registriesOf(app *caddyenrich.App) (files []dataFile) {
	for name, chain := range app.Chains {
		for _, raw := range chain.SourcesRaw {
			var source struct {
				Source string `json:"source"`
				caddyenrich.Registration
			}
			if json.Unmarshal(raw, &source) != nil || source.Source != "registration" {
				continue
			}
			for _, u := range source.RegistryFiles() {
				files = append(files, dataFile{Chain: name, Source: source.Source, Kind: source.Source,
					DataStatus: enrich.DataStatus{Type: "kept in the store: see caddy whence status", Update: u}})
			}
		}
	}
	return files
}

// close gives back what the sources hold.
func (s *dataSources) close() { _ = s.app.Cleanup() }

// links calls f with each source, in order.
func (s *dataSources) links(f func(chain string, l enrich.Link)) {
	chains := s.app.Provisioned()
	for _, name := range slices.Sorted(maps.Keys(chains)) {
		for _, l := range chains[name].Links() {
			f(name, l)
		}
	}
}

// open has every source read its files.
func (s *dataSources) open(ctx context.Context) error {
	for name, c := range s.app.Provisioned() {
		if err := c.Open(ctx); err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
	}
	return nil
}

// files are the files of the sources, which are open.
func (s *dataSources) files() (files []dataFile) {
	s.links(func(chain string, l enrich.Link) {
		r, ok := l.Source.(enrich.Reporter)
		if !ok {
			return
		}
		st, upkeeps := r.Status(), caddyenrich.UpkeepsOf(l.Source)
		for _, d := range st.Data {
			f := dataFile{Chain: chain, Source: l.Name, Kind: st.Kind, DataStatus: d}
			if i := slices.IndexFunc(upkeeps, func(k *caddyenrich.Upkeep) bool { return k.File == d.Path }); i >= 0 {
				f.upkeep = upkeeps[i]
			}
			files = append(files, f)
		}
	})
	return files
}

// fits reports whether one of args means the file: its path, its file name, its source or where it comes from. No args mean all.
func (f *dataFile) fits(args []string) bool {
	return len(args) == 0 || slices.ContainsFunc(args, f.is)
}

func (f *dataFile) is(arg string) bool {
	abs, err := filepath.Abs(arg)
	return arg == f.Source || arg == f.Chain+"/"+f.Source || err == nil && abs == f.Path || f.Path != "" && arg == filepath.Base(f.Path) ||
		f.Update != nil && arg == f.Update.From
}

// chosen are the files that args mean. Each must mean one.
func chosen(files []dataFile, args []string) ([]dataFile, error) {
	for _, a := range args {
		if !slices.ContainsFunc(files, func(f dataFile) bool { return f.is(a) }) {
			return nil, fmt.Errorf("no source and no file of the configuration is %s; caddy whence data list has them", a)
		}
	}
	return slices.DeleteFunc(slices.Clone(files), func(f dataFile) bool { return !f.fits(args) }), nil
}
