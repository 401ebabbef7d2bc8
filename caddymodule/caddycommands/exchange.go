package caddycommands

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/domainstats"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/lexical"
)

func importCommand() *cobra.Command {
	var (
		t    target
		o    domainstats.ImportOptions
		form string
	)
	cmd := &cobra.Command{
		Use:   "import [flags] <file|->",
		Short: "Take the history of another domain_stats into the ledger",
		Long: "Reads names that are known already, so that switching to Whence makes no first contacts of them: format C's JSON\n" +
			"(domain-stats-utils -e), format B's feed, or a plain list of names. The running server imports it, or with --offline\n" +
			"this command. Entries that cannot be used are counted, and the first of them are shown.",
		Example: "  caddy whence import --form json export.json\n  caddy whence import --form list --offline --config Caddyfile top-1m.csv",
		Args:    cobra.ExactArgs(1),
		RunE: caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			var err error
			if o.Form, err = domainstats.ParseExchange(form); err != nil {
				return 1, err
			}
			return exit(t.importFile(fl.Arg(0), o))
		}),
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&form, "form", "json", "json (format C), feed (format B) or list (a name a line, or rank,domain)")
	oneOf(cmd, "form", "json", "feed", "list")
	cmd.Flags().StringVar(&o.Scope, "scope", domainstats.DefaultScope, "scope of the ledger")
	cmd.Flags().BoolVar(&o.PerName, "per-name", false, "keep full names, as domain_stats does with per_name")
	cmd.Flags().BoolVar(&o.KeepNew, "keep-new", false, "leave names that are not known new: their first contact is told when it comes")
	cmd.Flags().BoolVar(&o.NeverExpire, "never-expire", false, "take registrations to have no end, as -nx of domain-stats-utils does")
	return cmd
}

func exit(err error) (int, error) {
	if err != nil {
		return 1, err
	}
	return 0, nil
}

func (t *target) importFile(name string, o domainstats.ImportOptions) error {
	in, err := input(name)
	if err != nil {
		return err
	}
	defer in.Close()
	var res domainstats.ImportResult
	if t.offline {
		res, err = t.importHere(in, o)
	} else {
		res, err = t.importThere(in, o)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d entries: %d names are new in the ledger, %d were there, %d were removed; %d entries could not be used\n",
		res.Entries, res.Added, res.Known, res.Removed, res.Bad)
	for _, e := range res.Errors {
		fmt.Fprintf(os.Stderr, "%s:%v\n", name, e)
	}
	return nil
}

func (t *target) importHere(in io.Reader, o domainstats.ImportOptions) (domainstats.ImportResult, error) {
	s, err := t.open()
	if err != nil {
		return domainstats.ImportResult{}, err
	}
	ctx, cancel := interruptible()
	defer cancel()
	res, err := domainstats.Import(ctx, s.Ledger(), in, o)
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	return res, err
}

func (t *target) importThere(in io.Reader, o domainstats.ImportOptions) (res domainstats.ImportResult, err error) {
	q := url.Values{"form": {o.Form.String()}, "scope": {o.Scope}, "per_name": {strconv.FormatBool(o.PerName)},
		"keep_new": {strconv.FormatBool(o.KeepNew)}, "never_expire": {strconv.FormatBool(o.NeverExpire)}}
	resp, err := t.request(http.MethodPost, "/whence/import?"+q.Encode(), in)
	if err != nil {
		return res, err
	}
	defer resp.Body.Close()
	return res, json.NewDecoder(resp.Body).Decode(&res)
}

func exportCommand() *cobra.Command {
	var (
		t     target
		scope string
		all   bool
	)
	cmd := &cobra.Command{
		Use:   "export [flags] <file|->",
		Short: "Write the ledger's names as domain-stats-utils does",
		Long: "Writes a JSON array that `caddy whence import` and format C's utilities read. Names whose registration is not known are\n" +
			"left out, as the utilities cannot read them, unless --all is given.",
		Example: "  caddy whence export --all names.json",
		Args:    cobra.ExactArgs(1),
		RunE: caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			return exit(t.exportFile(fl.Arg(0), scope, all))
		}),
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&scope, "scope", domainstats.DefaultScope, "scope of the ledger")
	cmd.Flags().BoolVar(&all, "all", false, "also names whose registration is not known")
	return cmd
}

// exportFile writes to a file beside, and gives it its name when it is whole.
func (t *target) exportFile(name, scope string, all bool) error {
	if name == "-" {
		return t.export(os.Stdout, scope, all)
	}
	part := name + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = t.export(f, scope, all)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(part)
		return err
	}
	return os.Rename(part, name)
}

func (t *target) export(w io.Writer, scope string, all bool) error {
	if t.offline {
		return t.exportHere(w, scope, all)
	}
	q := url.Values{"scope": {scope}}
	if all {
		q.Set("all", "")
	}
	resp, err := t.request(http.MethodGet, "/whence/export?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if bar := progress(-1, "exporting", true); bar != nil {
		w = io.MultiWriter(w, bar)
		defer bar.Finish()
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

// exportHere exports what the ledger knows, with the scores of the table that is compiled in.
func (t *target) exportHere(w io.Writer, scope string, all bool) error {
	s, err := t.open()
	if err != nil {
		return err
	}
	defer s.Close()
	chain := enrich.NewChain("", enrich.Link{Name: "lexical", Source: lexical.New(lexical.Options{})})
	defer chain.Close()
	ctx, cancel := interruptible()
	defer cancel()
	if err := chain.Open(ctx); err != nil {
		return err
	}
	api, err := domainstats.New(domainstats.Options{Chain: chain, Ledger: s.Ledger(), Scope: scope})
	if err != nil {
		return err
	}
	defer api.Close()
	var told func(int)
	if bar := progress(int64(s.Ledger().Len(scope)), "exporting", false); bar != nil {
		told = func(n int) { _ = bar.Set(n) }
		defer bar.Finish()
	}
	_, err = api.Export(ctx, w, all, told)
	return err
}
