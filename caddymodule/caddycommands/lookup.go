package caddycommands

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/caddymodule/internal/lookups"
	"github.com/whence-project/whence/enrich"
)

// exitNotFound is the exit status where something was not found, or is no subject.
const exitNotFound = 2

// lookup is the command's settings.
type lookup struct {
	target
	ask, raw, registry  bool
	chain, format, form string
	fields              []string
	wait                time.Duration
	answered            int // by the server
}

func lookupCommand() *cobra.Command {
	l := new(lookup)
	l.hint = "name its Caddyfile with --config, and its files are read here"
	cmd := &cobra.Command{
		Use:   "lookup [flags] <subject…|->",
		Short: "What is known of addresses, networks, AS numbers and names",
		Long: "Answers for subjects as people write them: 8.8.8.8, 2001:db8::/32, AS13335, example.org, https://example.org/x; or, for -, for\n" +
			"those on standard input, one a line, as they come. Asking is not seeing: nothing of it is remembered as a sighting.\n\n" +
			"Who answers: the running server, unless there is --config: then this command reads the files of that configuration's sources\n" +
			"itself, opens no store, and asks nobody, so that it knows neither registrations nor sightings. --ask asks the server of that\n" +
			"configuration, --address the one there.\n\n" +
			"Exit status: 0 if something was found of every subject, 2 if of some nothing was, or they are none, 1 for other errors.",
		Example: "  caddy whence lookup 8.8.8.8 example.org\n" +
			"  caddy whence lookup --config Caddyfile --fields asn,country_code - < addresses.txt\n" +
			"  caddy whence lookup --form whois example.org",
		ValidArgsFunction: noArgs,
	}
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		notFound, err := l.run(fl.Args())
		if err != nil {
			return 1, err
		}
		if notFound > 0 {
			cmd.SilenceErrors = true // the status says it
			return exitNotFound, nil
		}
		return 0, nil
	})
	l.serverFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&l.ask, "ask", false, "ask the running server of --config")
	f.StringVar(&l.chain, "chain", "", "enrichment chain to ask (default: the default one)")
	f.StringVar(&l.format, "format", "text", "text (a table), json (an object a line) or csv")
	f.StringVar(&l.form, "form", "", "in place of a format: whois, as the WHOIS server answers, or one of its dialects")
	f.StringSliceVar(&l.fields, "fields", nil, "fields to show, such as asn,country_code (default: what there is of the usual ones; of json, all)")
	f.DurationVar(&l.wait, "wait", 0, "how long a subject may wait for what the server must fetch, such as a registration")
	f.BoolVar(&l.raw, "raw", false, "show what registries wrote word by word, where it is kept")
	f.BoolVar(&l.registry, "registry", false, "have registries asked about addresses and AS numbers too")
	oneOf(cmd, "format", "text", "json", "csv")
	oneOf(cmd, "form", lookups.Forms()[1:]...)
	if err := cmd.RegisterFlagCompletionFunc("fields", completeFields); err != nil {
		panic(err) // there is no such flag
	}
	return cmd
}

// completeFields has the shell complete a list of canonical fields.
func completeFields(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	list := []string{before + "network", before + "notes"}
	for _, k := range enrich.Keys() {
		list = append(list, before+k.String())
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// answerer answers lines: those of one call in their order, each with a call of write.
type answerer func(ctx context.Context, lines []string, write func([]byte) error) (notFound int, err error)

func (l *lookup) run(subjects []string) (notFound int, err error) {
	if err := quiet(); err != nil {
		return 0, err
	}
	if len(subjects) == 0 {
		return 0, errors.New("no subject: name some, or - for those on standard input, one a line")
	}
	form, err := lookups.ParseForm(l.form)
	if err != nil {
		return 0, err
	}
	if l.form != "" && (l.format != "text" || len(l.fields) > 0) {
		return 0, errors.New("--form has its own format and fields: leave --format and --fields out")
	}
	stdout := bufio.NewWriter(os.Stdout)
	out, err := l.printer(stdout)
	if err != nil {
		return 0, err
	}
	ctx := context.Background() // an interrupt ends the command as it ends others: there is nothing to put in order
	var answer answerer = l.there
	if l.config != "" && l.address == "" && !l.ask {
		chain, done, err := l.localChain(ctx, l.chain)
		if err != nil {
			return 0, err
		}
		defer done()
		asker := lookups.Asker{Chain: chain, Form: form, Query: enrich.Query{Raw: l.raw, Offline: true}}
		answer = func(ctx context.Context, lines []string, write func([]byte) error) (int, error) {
			defer func() { asker.Before += len(lines) }()
			return lookups.AppendAll(ctx, asker, 0, lines, write)
		}
	}
	return all(subjects, func(lines []string) (int, error) {
		n, err := answer(ctx, lines, out.print)
		return n, errors.Join(err, out.flush(), stdout.Flush())
	})
}

// all answers for subjects, those on standard input where one is "-".
func all(subjects []string, answer func(lines []string) (notFound int, err error)) (notFound int, err error) {
	one := func(lines []string) error {
		n, err := answer(lines)
		notFound += n
		return err
	}
	for len(subjects) > 0 {
		if subjects[0] == "-" {
			err = batches(os.Stdin, one)
			subjects = subjects[1:]
		} else {
			n := slices.Index(subjects, "-")
			if n < 0 {
				n = len(subjects)
			}
			err = one(subjects[:n])
			subjects = subjects[n:]
		}
		if err != nil {
			return notFound, err
		}
	}
	return notFound, nil
}

// printer makes the printer of the format.
func (l *lookup) printer(w io.Writer) (printer, error) {
	switch {
	case l.form != "":
		return plain{w}, nil
	case l.format == "json":
		return &jsonLines{w: w, fields: l.fields}, nil
	case l.format == "csv":
		return newCSV(w, l.fields), nil
	case l.format == "text":
		return &table{w: w, fields: l.fields}, nil
	}
	return nil, fmt.Errorf("format %q; there are text, json and csv", l.format)
}
