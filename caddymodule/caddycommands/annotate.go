package caddycommands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/whence-project/whence/annotate"
)

// annotation is the command's settings.
type annotation struct {
	target
	ask                       bool
	chain, output             string
	inPlace                   bool
	summary                   string
	top                       int
	format, header, delimiter string
	maxLine                   string
	opt                       annotate.Options
}

func annotateCommand() *cobra.Command {
	a := new(annotation)
	a.hint = "name its Caddyfile with --config, and its files are read here"
	cmd := &cobra.Command{
		Use:   "annotate [flags] [file|-]…",
		Short: "Put what is known of addresses and names into logs",
		Long: "Copies logs, from files or standard input, to standard output or a file, and puts in what is known of the addresses in them:\n" +
			"in text behind the address, 8.8.8.8[AS15169 US], or as fields at the end of the line; in JSON lines as an object; in CSV in\n" +
			"columns. One line comes out for each that goes in, in order; what was there stays as it is. Files may be packed (gzip, zstd,\n" +
			"bzip2).\n\n" +
			"Who answers: the running server, unless there is --config: then this command reads the files of that configuration's sources\n" +
			"itself, which is much faster, opens no store, and asks nobody. --ask asks the server of that configuration, --address the\n" +
			"one there. Asking is not seeing: nothing of it is remembered as a sighting.",
		Example: "  caddy whence annotate -c Caddyfile access.log\n" +
			"  tail -f access.log | caddy whence annotate -c Caddyfile --fields asn,as_name,country_code\n" +
			"  caddy whence annotate -c Caddyfile --in request.remote_ip --summary -o out.json.gz access.json.gz",
		RunE: caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) { return a.run(fl.Args()) }),
	}
	a.serverFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&a.ask, "ask", false, "ask the running server of --config")
	f.StringVar(&a.chain, "chain", "", "enrichment chain to ask (default: the default one)")
	f.StringSliceVar(&a.opt.Fields, "fields", nil, "fields of an annotation (default asn,country_code; with --names also rank)")
	f.StringVarP(&a.format, "format", "f", "auto", "format of the logs: auto, text, json, csv or tsv")
	f.StringSliceVar(&a.opt.In, "in", nil, "what to look at: in text fields by number, in JSON paths such as request.host, in CSV columns by name or number\n"+
		"(default: everything)")
	f.BoolVar(&a.opt.Names, "names", false, "look for domain names too; without --in")
	f.BoolVar(&a.opt.Append, "append", false, "in text: fields at the end of the line, for the first address in it or for each of --in")
	f.StringVar(&a.opt.Key, "key", annotate.DefaultKey, "in JSON: key of the object")
	f.BoolVar(&a.opt.Flat, "flat", false, "in JSON: members such as client_ip_asn in place of an object; needs --in")
	f.StringVar(&a.header, "header", "auto", "in CSV: whether there is a header: auto, yes or no")
	f.StringVar(&a.delimiter, "delimiter", "", "in CSV: what is between the cells (default: a comma, or what the first lines have)")
	f.StringVar(&a.maxLine, "max-line", "1MiB", "longer lines pass as they are")
	f.StringVarP(&a.output, "output", "o", "", "file to write, packed if its name ends in .gz or .zst; it gets its name when it is whole")
	f.BoolVar(&a.inPlace, "in-place", false, "replace each file by what was made of it")
	f.StringVar(&a.summary, "summary", "", "count what is found, and write that to standard error or, with --summary=FILE, to a file, in JSON if it ends in .json")
	f.Lookup("summary").NoOptDefVal = "-"
	f.IntVar(&a.top, "top", 10, "how many of each kind a summary has")
	cmd.MarkFlagsMutuallyExclusive("output", "in-place")
	oneOf(cmd, "format", "auto", "text", "json", "csv", "tsv")
	oneOf(cmd, "header", "auto", "yes", "no")
	if err := cmd.RegisterFlagCompletionFunc("fields", completeFields); err != nil {
		panic(err) // there is no such flag
	}
	return cmd
}

// run annotates the logs and says on standard error what there is to say.
func (a *annotation) run(files []string) (status int, err error) {
	if err := errors.Join(quiet(), a.options()); err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // of a closed pipe the write tells
	done, err := a.lookup(ctx)
	if err != nil {
		return 1, err
	}
	defer done()
	an, err := annotate.New(a.opt)
	if err != nil {
		return 1, err
	}
	context.AfterFunc(ctx, stop) // the second interrupt ends it at once
	err = a.files(ctx, an, files)
	if errors.Is(err, syscall.EPIPE) {
		err = nil // who reads has read enough
	}
	if serr := a.report(an); err == nil {
		err = serr
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted, errors.New("interrupted")
	}
	return exit(err)
}

// options reads the flags that are written in other ways than the engine has them.
func (a *annotation) options() (err error) {
	o := &a.opt
	if o.Format, err = annotate.ParseFormat(a.format); err != nil {
		return err
	}
	switch a.header {
	case "auto":
	case "yes":
		o.Header = annotate.HeaderYes
	case "no":
		o.Header = annotate.HeaderNo
	default:
		return fmt.Errorf("--header %q: there are auto, yes and no", a.header)
	}
	switch d := strings.ReplaceAll(a.delimiter, `\t`, "\t"); len(d) {
	case 0:
	case 1:
		o.Delimiter = d[0]
	default:
		return fmt.Errorf("--delimiter %q: it is one character of ASCII", a.delimiter)
	}
	n, err := humanize.ParseBytes(a.maxLine)
	if err != nil || n > 1<<30 {
		return fmt.Errorf("--max-line %q: it is a size up to 1GiB, such as 1MiB", a.maxLine)
	}
	o.MaxLine = int(n)
	if o.Names && len(o.In) > 0 {
		return errors.New("--names looks for names everywhere, --in chooses where: leave one of them out; names in what --in chooses are known anyway")
	}
	if o.Names && o.Fields == nil {
		o.Fields = append(annotate.DefaultFields[:len(annotate.DefaultFields):len(annotate.DefaultFields)], "rank")
	}
	o.Summary = a.summary != ""
	if a.top < 1 {
		return fmt.Errorf("--top %d: it is at least 1", a.top)
	}
	return nil
}

// lookup opens the chain of the configuration, or finds the running server. done gives back what that took.
func (a *annotation) lookup(ctx context.Context) (done func(), err error) {
	if a.config != "" && a.address == "" && !a.ask {
		chain, done, err := a.localChain(ctx, a.chain)
		if err == nil {
			a.opt.Lookup = annotate.Local(chain)
		}
		return done, err
	}
	if err := a.locate(); err != nil {
		return nil, err
	}
	uri := "/whence/lookup"
	if a.chain != "" {
		uri += "?" + url.Values{"chain": {a.chain}}.Encode()
	}
	a.opt.Lookup = annotate.Remote(func(_ context.Context, subjects io.Reader) (io.ReadCloser, error) {
		t := a.target // several are asked for at the same time
		resp, err := t.request(http.MethodPost, uri, subjects)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	})
	return func() {}, nil
}

// locate finds out where the running server is, once for all that it is asked.
func (a *annotation) locate() (err error) {
	var config []byte
	if a.address == "" && a.config != "" {
		if config, _, _, err = caddycmd.LoadConfig(a.config, a.adapter); err != nil {
			return err
		}
	}
	a.address, err = caddycmd.DetermineAdminAPIAddress(a.address, config, a.config, a.adapter)
	return err
}

// report writes the summary, or what could not be annotated.
func (a *annotation) report(an *annotate.Annotator) error {
	s := an.Summary(a.top)
	switch {
	case a.summary == "-":
		return s.Write(os.Stderr)
	case a.summary != "":
		return a.writeSummary(s)
	case s.Rejected+s.TooLong > 0:
		fmt.Fprintf(os.Stderr, "%d of %d lines passed as they are: %d of another form than the rest, %d longer than %s\n",
			s.Rejected+s.TooLong, s.Lines, s.Rejected, s.TooLong, a.maxLine)
	}
	return nil
}

func (a *annotation) writeSummary(s *annotate.Summary) error {
	f, err := newOutput(a.summary, 0o666)
	if err != nil {
		return err
	}
	defer f.discard()
	if strings.HasSuffix(a.summary, ".json") {
		enc := json.NewEncoder(f)
		enc.SetIndent("", "  ")
		err = enc.Encode(s)
	} else {
		err = s.Write(f)
	}
	return errors.Join(err, f.keep())
}
