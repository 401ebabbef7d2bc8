package caddyenrichhttp

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

// UnmarshalCaddyfile parses the matcher. A first word with a brace is the value that is asked about. Of several lines, all must match.
//
//	enrich [<value>] <field> <values…> {
//		chain <chain>
//	}
func (m *Match) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() { // the matcher's name
		c, err := conditionOf(d.RemainingArgs())
		if err != nil {
			return d.WrapErr(err)
		}
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			switch option := d.Val(); {
			case option != "chain":
				return d.Errf("the matcher enrich has no option %q; it has chain", option)
			case c.Chain != "":
				return d.Errf("chain is given twice")
			}
			if err := args.One(d, &c.Chain); err != nil {
				return err
			}
		}
		*m = append(*m, c)
	}
	return nil
}

// conditionOf reads the words of a condition.
func conditionOf(words []string) (*Condition, error) {
	c := new(Condition)
	if len(words) > 0 && isValue(words[0]) {
		c.Of, words = words[0], words[1:]
	}
	if len(words) > 0 {
		c.Field, c.Values = words[0], words[1:]
	}
	return c, c.check()
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Match)(nil)
