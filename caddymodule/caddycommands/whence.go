// Package caddycommands is `caddy whence`: what an operator does at a shell.
package caddycommands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "whence",
		Short: "What Whence knows and remembers: look up, annotate logs, see how it is, keep data fresh, preload, import, export",
		Long:  long,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Example = examples
			cmd.AddCommand(lookupCommand(), annotateCommand(), statusCommand(), dataCommand(), preloadCommand(), importCommand(), exportCommand())
		},
	})
}

// open opens the store that the configuration names.
func (t *target) open() (store.Store, error) {
	app := new(caddystore.App)
	if t.config != "" {
		b, _, _, err := caddycmd.LoadConfig(t.config, t.adapter)
		if err != nil {
			return nil, err
		}
		var config struct {
			Apps struct {
				Store *caddystore.App `json:"store"`
			} `json:"apps"`
		}
		if err := json.Unmarshal(b, &config); err != nil {
			return nil, err
		}
		if config.Apps.Store != nil {
			app = config.Apps.Store
		}
	}
	dir, err := caddystore.Dir(app.Dir)
	if err != nil {
		return nil, err
	}
	s, err := embedded.Open(dir, embedded.Options{MaxNames: app.MaxNames, CacheSize: app.CacheSize})
	if inUse := (*embedded.InUseError)(nil); errors.As(err, &inUse) {
		err = fmt.Errorf("%w; or leave --offline out, and the running server does it", err)
	}
	return s, err
}

// progress is a bar on standard error where that is a terminal; nil elsewhere. A total of -1 is not known.
func progress(total int64, what string, bytes bool) *progressbar.ProgressBar {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100e6), progressbar.OptionClearOnFinish())
}

// input is the file of that name with a bar over its bytes, standard input for "-".
func input(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no file", name))
	}
	bar := progress(info.Size(), name, true)
	if bar == nil {
		return f, nil
	}
	r := progressbar.NewReader(f, bar)
	return &r, nil
}

// interruptible ends with an interrupt, so that what was done until then is kept in order.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt)
}
