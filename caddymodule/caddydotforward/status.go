package caddydotforward

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/status"
	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/hotfiles"
)

func init() { status.Register(status.Section{Name: "dotforward", Report: report}) }

// forwarderStatus is how the forwarder is.
type forwarderStatus struct {
	Healthy   bool             `json:"healthy"` // clients should ask this server
	Upstreams []upstreamStatus `json:"upstreams"`
	Cache     cacheStatus      `json:"cache"`
	Lists     []listStatus     `json:"lists,omitempty"`
}

// upstreamStatus is how an upstream server is.
type upstreamStatus struct {
	Server   string            `json:"server"`
	Up       bool              `json:"up"`
	Average  float64           `json:"average_ms"` // moving average of its latency
	Conns    int               `json:"connections"`
	InFlight int               `json:"in_flight"`
	Queries  uint64            `json:"queries"`
	ServFail uint64            `json:"servfail"`
	Failures map[string]uint64 `json:"failures,omitempty"`
}

// cacheStatus is how the cache is. The counters are since it was made.
type cacheStatus struct {
	Entries int    `json:"entries"`
	Size    int64  `json:"size"` // of answers, in bytes
	MaxSize int64  `json:"max_size"`
	Hits    uint64 `json:"hits"`
	Stale   uint64 `json:"stale"`
	Misses  uint64 `json:"misses"`
	Puts    uint64 `json:"puts"`
	Evicted uint64 `json:"evicted"`
	Refused uint64 `json:"refused"`
}

// listStatus is how the files of a handler are.
type listStatus struct {
	Handler string              `json:"handler"`
	Records int                 `json:"records"`
	Data    []enrich.DataStatus `json:"data,omitempty"`
}

// status is how the forwarder is.
func (a *App) status() forwarderStatus {
	s := forwarderStatus{Healthy: a.server.Healthy(), Upstreams: []upstreamStatus{}, Cache: statusOf(a.cache.Stats())}
	seen := make(map[string]bool)
	upstreams.Range(func(_, v any) bool {
		u := v.(shared)
		if name := u.String(); !seen[name] { // in a reload, the old configuration's may be there too
			seen[name] = true
			st := u.Stats()
			s.Upstreams = append(s.Upstreams, upstreamStatus{
				name, st.Up, float64(st.Average.Microseconds()) / 1000, st.Conns, st.InFlight + st.Queued, st.Queries, st.ServFail, st.Failures,
			})
		}
		return true
	})
	for _, g := range a.guests {
		if l, ok := g.(interface{ files() hotfiles.Status }); ok {
			s.Lists = append(s.Lists, listsOf(g.(caddy.Module).CaddyModule().ID.Name(), l.files()))
		}
	}
	return s
}

func statusOf(s cache.Stats) cacheStatus {
	return cacheStatus{s.Entries, s.Bytes, s.MaxBytes, s.Hits, s.Stale, s.Misses, s.Puts, s.Evicted, s.Refused}
}

func listsOf(handler string, s hotfiles.Status) listStatus {
	l := listStatus{Handler: handler, Records: s.Records}
	for _, f := range s.Files {
		l.Data = append(l.Data, enrich.DataStatusOf(f))
	}
	return l
}

// report tells how the forwarder of the running configuration is.
func report(ctx caddy.Context, _ status.Query) (r status.Report, ok bool) {
	app, err := ctx.AppIfConfigured("dotforward")
	if err != nil {
		return r, false
	}
	a := app.(*App)
	if a.server == nil {
		return r, false
	}
	s := a.status()
	r.Value, r.Problems = s, s.problems()
	return r, true
}

// problems is what is wrong with the forwarder now. One upstream server that is up answers for all.
func (s *forwarderStatus) problems() (list []status.Problem) {
	add := func(level status.Level, where, text string) {
		list = append(list, status.Problem{Level: level, Where: where, Text: text})
	}
	if !s.Healthy {
		add(status.Error, "dotforward", "a lame duck: clients are told to ask another server")
	}
	down := 0
	for _, u := range s.Upstreams {
		if !u.Up {
			down++
		}
	}
	for _, u := range s.Upstreams {
		level := status.Warning
		if down == len(s.Upstreams) {
			level = status.Error
		}
		if !u.Up {
			add(level, "dotforward/"+u.Server, "down")
		}
	}
	for _, l := range s.Lists {
		for _, d := range l.Data {
			level := status.Error
			if d.Missing {
				level = status.Warning
			}
			if d.Error != "" {
				add(level, "dotforward/"+l.Handler, d.Path+": "+d.Error)
			}
		}
	}
	return list
}
