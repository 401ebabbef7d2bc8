package caddywhois

import (
	"maps"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(SimpleWHOISEncoder)) }

// SimpleWHOISEncoder is the log format `simple_whois`: the access line that the Python server simple-whois wrote, for the
// parsers that read it:
//
//	2016-07-16 22:46:53,214 WHOIS_SERVER INFO client_ip:104.172.239.44 requested_domain:test.com
//
// Times are local. It is of use for the logger `whois.access` only; fields other than the client and the query are left out.
type SimpleWHOISEncoder struct{ *zapcore.MapObjectEncoder }

// CaddyModule returns the module's registration.
func (*SimpleWHOISEncoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.simple_whois",
		New: func() caddy.Module { return &SimpleWHOISEncoder{zapcore.NewMapObjectEncoder()} },
	}
}

// UnmarshalCaddyfile parses the format.
//
//	format simple_whois
func (*SimpleWHOISEncoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the format's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Clone returns an encoder of its own with the fields that were added to this one, as a filter around it does.
func (e *SimpleWHOISEncoder) Clone() zapcore.Encoder {
	c := zapcore.NewMapObjectEncoder()
	maps.Copy(c.Fields, e.Fields)
	return &SimpleWHOISEncoder{c}
}

var lines = buffer.NewPool()

// EncodeEntry writes the line.
func (e *SimpleWHOISEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	flat := e.Clone().(*SimpleWHOISEncoder)
	for _, f := range fields {
		f.AddTo(flat)
	}
	client, _ := flat.Fields["client_ip"].(string)
	query, _ := flat.Fields["query"].(string)
	b := lines.Get()
	b.AppendTime(entry.Time, "2006-01-02 15:04:05,000")
	b.AppendString(" WHOIS_SERVER ")
	b.AppendString(entry.Level.CapitalString())
	b.AppendString(" client_ip:")
	b.AppendString(client)
	b.AppendString(" requested_domain:")
	b.AppendString(enrich.Clean(query))
	b.AppendByte('\n')
	return b, nil
}

// Interface guards
var (
	_ zapcore.Encoder       = (*SimpleWHOISEncoder)(nil)
	_ caddyfile.Unmarshaler = (*SimpleWHOISEncoder)(nil)
)
