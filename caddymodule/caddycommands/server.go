package caddycommands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// target is what a command works on: the running server, the sources of a configuration, or the store in a folder that no server has
// open.
type target struct {
	address, config, adapter string
	offline                  bool
	hint                     string // what to do where no server runs
}

// serverFlags are the flags that say which server is asked.
func (t *target) serverFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.address, "address", "", "admin address of the running server (default: that of the configuration)")
	cmd.Flags().StringVarP(&t.config, "config", "c", "", "configuration file")
	cmd.Flags().StringVarP(&t.adapter, "adapter", "a", "", "adapter for the configuration file")
	var adapters []string
	for _, m := range caddy.GetModules("caddy.adapters") {
		adapters = append(adapters, m.ID.Name())
	}
	oneOf(cmd, "adapter", adapters...)
}

// flags are serverFlags, and the one for commands that can do without a server.
func (t *target) flags(cmd *cobra.Command) {
	t.serverFlags(cmd)
	t.hint = "add --offline to open its store here"
	cmd.Flags().BoolVar(&t.offline, "offline", false, "open the store of the configuration, which no server may have open")
}

// oneOf has the shell complete a flag's values.
func oneOf(cmd *cobra.Command, flag string, values ...string) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // there is no such flag
	}
}

// noArgs has the shell complete no file names.
func noArgs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// request asks the running server.
func (t *target) request(method, uri string, body io.Reader) (*http.Response, error) {
	var config []byte
	if t.address == "" && t.config != "" {
		var err error
		if config, _, _, err = caddycmd.LoadConfig(t.config, t.adapter); err != nil {
			return nil, err
		}
	}
	address, err := caddycmd.DetermineAdminAPIAddress(t.address, config, t.config, t.adapter)
	if err != nil {
		return nil, err
	}
	t.address = address
	header := http.Header{}
	if body != nil {
		header.Set("Content-Type", "text/plain")
	}
	resp, err := caddycmd.AdminAPIRequest(address, method, uri, header, body)
	if err != nil {
		return nil, t.explain(err)
	}
	return resp, nil
}

// get asks the running server for JSON.
func (t *target) get(method, uri string, body io.Reader, into any) error {
	resp, err := t.request(method, uri, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// explain is an error of AdminAPIRequest in plain words: what the server said, or that there is none.
func (t *target) explain(err error) error {
	said, ok := strings.CutPrefix(err.Error(), "caddy responded with error: HTTP ")
	if !ok {
		err = fmt.Errorf("asking the server at %s: %w", t.address, err)
		if t.hint != "" {
			err = fmt.Errorf("%w; if no server runs, %s", err, t.hint)
		}
		return err
	}
	code, text, _ := strings.Cut(said, ": ")
	var reply struct{ Error string }
	if json.Unmarshal([]byte(text), &reply) == nil && reply.Error != "" {
		return errors.New(reply.Error)
	}
	return fmt.Errorf("the server answers HTTP %s: %s; is Whence in it?", code, strings.TrimSpace(text))
}

// quiet has only warnings and errors logged from now on: on standard error, for people to read where that is a terminal.
func quiet() error {
	_, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, Logging: warnings()})
	return err
}

func warnings() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "WARN"}}}}
}
