package caddydomainstats

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("domain_stats", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("domain_stats", httpcaddyfile.Before, "respond")
}

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile parses the directive.
//
//	domain_stats [<matcher>] {
//		enrich          <chain>
//		format          a|b|b0|c
//		values          last|first|all
//		wait            <duration>
//		scope           <name>
//		per_name
//		established     <duration>
//		new_domain      <duration>
//		freq_avg_alert  <number>|off
//		freq_word_alert <number>|off
//		new_names       <count>/<s|m|h|d> [burst <count>] [per <ipv4 bits> <ipv6 bits>]
//		history
//		browse_limit    <count>
//		max_body        <size>
//		max_streams     <count>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := args.None(d); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if err := h.parseOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) parseOption(d *caddyfile.Dispenser, option string) (err error) {
	switch option {
	case "enrich":
		return args.One(d, &h.Enrich)
	case "format":
		if err = args.One(d, &h.Format); err != nil {
			return err
		}
		if _, err = formatOf(h.Format); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "values":
		if err = args.One(d, &h.Values); err != nil {
			return err
		}
		if _, err = valuesOf(h.Values); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "wait":
		h.Wait = new(caddy.Duration)
		return args.Duration(d, h.Wait)
	case "scope":
		return args.One(d, &h.Scope)
	case "per_name":
		h.PerName = true
		return args.None(d)
	case "established":
		return args.Duration(d, &h.Established)
	case "new_domain":
		h.NewDomain = new(caddy.Duration)
		return args.Duration(d, h.NewDomain)
	case "freq_avg_alert":
		return threshold(d, &h.FreqAvgAlert)
	case "freq_word_alert":
		return threshold(d, &h.FreqWordAlert)
	case "new_names":
		h.NewNames, err = args.ParseLimit(d)
		return err
	case "history":
		h.History = true
		return args.None(d)
	case "browse_limit":
		return args.Count(d, &h.BrowseLimit)
	case "max_body":
		return args.Size(d, &h.MaxBody)
	case "max_streams":
		return args.Count(d, &h.MaxStreams)
	}
	return d.Errf("domain_stats has no option %q; it has enrich, format, values, wait, scope, per_name, established, new_domain, "+
		"freq_avg_alert, freq_word_alert, new_names, history, browse_limit, max_body and max_streams", option)
}

// threshold reads a score, or off, which no score is below.
func threshold(d *caddyfile.Dispenser, into **float64) error {
	option := d.Val()
	var arg string
	if !d.AllArgs(&arg) {
		return d.ArgErr()
	}
	v := -1.0
	if arg != "off" {
		var err error
		if v, err = strconv.ParseFloat(arg, 64); err != nil || v < 0 {
			return d.Errf("%s %s: neither a score, as in 5.0, nor off", option, arg)
		}
	}
	*into = &v
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
