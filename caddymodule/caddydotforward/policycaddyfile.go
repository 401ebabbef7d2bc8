package caddydotforward

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward"
)

// UnmarshalCaddyfile parses the handler.
//
//	policy <name> {
//		registered <duration>
//		first_seen <duration>
//		unseen
//		rank_above <count>
//		unranked
//		freq_below <percent>
//		country    <code…>
//		asn        <AS number…>
//		tag        <word>
//		log
//		event
//		block      [zero|nxdomain|refused]
//		recheck    <duration>
//	}
func (m *Policy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if !d.AllArgs(&m.Name) {
		return d.Err("policy takes a name, as in: policy young { registered 30d; block }")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		known, err := m.condition(d)
		if !known {
			err = m.action(d)
		}
		if err != nil {
			return err
		}
	}
	if _, err := m.options(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// condition parses an option that says which queries the policy is about, and reports whether it is one.
func (m *Policy) condition(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "registered":
		err = durationAboveZero(d, &m.Registered)
	case "first_seen":
		err = durationAboveZero(d, &m.FirstSeen)
	case "unseen":
		m.Unseen = true
		err = args.None(d)
	case "rank_above":
		err = args.Count(d, &m.RankAbove)
	case "unranked":
		m.Unranked = true
		err = args.None(d)
	case "freq_below":
		var text string
		if err = args.One(d, &text); err == nil {
			if m.FreqBelow, err = strconv.ParseFloat(text, 64); err != nil || !(m.FreqBelow > 0 && m.FreqBelow <= 100) {
				err = d.Errf("freq_below %s: want percent, more than 0", text)
			}
		}
	case "country":
		err = args.Some(d, &m.Countries)
	case "asn":
		err = args.Some(d, &m.ASNs)
	default:
		return false, nil
	}
	return true, err
}

// action parses an option that says what the policy does.
func (m *Policy) action(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "tag":
		return args.One(d, &m.Tag)
	case "log":
		m.Log = true
		return args.None(d)
	case "event":
		m.Event = true
		return args.None(d)
	case "block":
		if m.Block = dotforward.BlockZero.String(); d.CountRemainingArgs() == 0 {
			return nil
		}
		return args.One(d, &m.Block)
	case "recheck":
		return durationAboveZero(d, &m.Recheck)
	default:
		return d.Errf("policy has no option %q; it has the conditions registered, first_seen, unseen, rank_above, unranked, "+
			"freq_below, country and asn, and tag, log, event, block and recheck", option)
	}
}
