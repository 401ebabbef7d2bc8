package caddyenrich

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/status"
	"github.com/whence-project/whence/enrich"
)

func init() { status.Register(status.Section{Name: "chains", Report: report}) }

// report tells how the sources of all chains are.
func report(ctx caddy.Context, q status.Query) (r status.Report, ok bool) {
	app, err := ctx.AppIfConfigured("enrich")
	if err != nil {
		return r, false
	}
	chains := make(map[string][]enrich.SourceStatus)
	all := app.(*App).Provisioned()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		chains[name] = all[name].Status()
		for _, s := range chains[name] {
			r.Problems = append(r.Problems, problemsOf(name+"/"+s.Name, &s.Status, q)...)
		}
	}
	r.Value = chains
	return r, true
}

// problemsOf is what is wrong with a source now.
func problemsOf(where string, s *enrich.Status, q status.Query) (list []status.Problem) {
	add := func(level status.Level, text string) {
		list = append(list, status.Problem{Level: level, Where: where, Text: text})
	}
	for _, d := range s.Data {
		switch {
		case d.Missing:
			add(status.Warning, d.Path+": "+d.Error)
		case d.Error != "":
			add(status.Error, d.Path+": "+d.Error)
		}
		if d.Update != nil && d.Update.Error != "" {
			add(status.Warning, fmt.Sprintf("%s: not updated from %s: %s", d.Path, d.Update.From, d.Update.Error))
		}
		if age := q.Now.Sub(d.Built); q.MaxAge > 0 && !d.Built.IsZero() && age > q.MaxAge && d.Path != "" {
			add(status.Error, fmt.Sprintf("%s: made %s, %d days ago", filepath.Base(d.Path), d.Built.UTC().Format(time.DateOnly), int(age.Hours()/24)))
		}
	}
	for _, p := range s.Problems {
		level := status.Warning
		if p.Severe {
			level = status.Error
		}
		add(level, p.Text)
	}
	return list
}
