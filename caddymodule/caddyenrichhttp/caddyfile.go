package caddyenrichhttp

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/logfields"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("enrich", parseDirective)
	// First of all, so that map, vars, log_append, header and what comes after them can use the placeholders.
	httpcaddyfile.RegisterDirectiveOrder("enrich", httpcaddyfile.Before, "map")
}

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile parses the directive. A word with a brace is the value, another one the chain.
//
//	enrich [<matcher>] [<chain>] [<value>] {
//		chain   <chain>
//		as      <name>
//		wait    <duration>
//		observe [<scope>]
//		log     [<field…>]
//		headers [<field…>]
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	for d.NextArg() {
		into := &h.Chain
		if isValue(d.Val()) {
			into = &h.Value
		}
		if *into != "" {
			return d.Errf("enrich takes one chain and one value, which has placeholders; %s is one more", d.Val())
		}
		*into = d.Val()
	}
	seen := map[string]bool{"chain": h.Chain != ""}
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
	if err := h.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// isValue tells a value from a word: a value has a placeholder.
func isValue(arg string) bool { return strings.Contains(arg, "{") }

func (h *Handler) parseOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "chain":
		return args.One(d, &h.Chain)
	case "as":
		return args.One(d, &h.As)
	case "wait":
		return args.Duration(d, &h.Wait)
	case "observe":
		h.Observe = DefaultScope
		if d.CountRemainingArgs() == 0 {
			return nil
		}
		return args.One(d, &h.Observe)
	case "log":
		h.Log = fieldsOf(d)
		return nil
	case "headers":
		h.Headers = fieldsOf(d)
		if _, err := headersOf(h.As, h.Headers); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
	return d.Errf("enrich has no option %q; it has chain, as, wait, observe, log and headers", option)
}

// fieldsOf reads the names of fields, the usual ones where there are none.
func fieldsOf(d *caddyfile.Dispenser) []string {
	if fields := d.RemainingArgs(); len(fields) > 0 {
		return fields
	}
	return logfields.Default
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
