// Package logfields writes what a chain knows into log entries.
package logfields

import (
	"strconv"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/enrich"
)

// Default are the fields that are written where the configuration names none.
var Default = []string{"asn", "as_name", "country_code"}

// Add adds one field of a record under key: a list as an array, a number or a boolean as such. What the record does not have is left
// out.
func Add(enc zapcore.ObjectEncoder, key string, p enrich.Pick, r *enrich.Record) {
	text := p.Text(r)
	if text == "" {
		return
	}
	if p.IsList(r) {
		zap.Strings(key, p.Values(r)).AddTo(enc)
		return
	}
	switch p.Type(r) {
	case enrich.Number:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			enc.AddInt64(key, n)
			return
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			enc.AddFloat64(key, f)
			return
		}
	case enrich.Bool:
		enc.AddBool(key, text == "true")
		return
	}
	enc.AddString(key, text)
}
