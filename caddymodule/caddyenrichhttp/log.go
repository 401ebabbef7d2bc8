package caddyenrichhttp

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/caddymodule/internal/logfields"
)

// logFields adds the view's fields to the request's access log, if its server writes one. The chain is asked when the line is written.
func logFields(q *request, v view, r *http.Request) {
	ctx := r.Context()
	if s, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && s.Logs == nil {
		return
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.Object(v.h.logKey, &logged{q, v}))
	}
}

// logged is a view in the access log.
type logged struct {
	q *request
	v view
}

// MarshalLogObject writes the fields that are known.
func (l *logged) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	s := l.q.subject(l.v)
	for _, p := range l.v.h.logPicks {
		if r := l.q.ask(l.v.h.door, s, p.Want(), l.v); r != nil {
			logfields.Add(enc, p.Name(), p, r)
		}
	}
	return nil
}
