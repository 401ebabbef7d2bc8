// Package status puts together what GET /whence/status says. Each part of Whence registers a section of its own when it is linked, so
// that the admin API needs to import none of them.
//
//	func init() {
//		status.Register(status.Section{Name: "workers", Report: func(ctx caddy.Context, q status.Query) (status.Report, bool) {
//			app, err := ctx.AppIfConfigured("workers")
//			if err != nil {
//				return status.Report{}, false
//			}
//			…
//		}})
//	}
package status

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Section is what one part of Whence has to say of itself.
type Section struct {
	// Name is its key in the answer: "store".
	Name string
	// Report is called for each request with the running configuration, also in a reload. It must not block, and must use
	// AppIfConfigured: App would make one. ok is false where the configuration has nothing of that part.
	Report func(ctx caddy.Context, q Query) (r Report, ok bool)
}

// Query is what a request wants to know.
type Query struct {
	Now    time.Time
	MaxAge time.Duration // data that were made longer ago are a problem; 0 is any age
}

// Report is a section's answer.
type Report struct {
	Value    any // as it goes out in JSON
	Problems []Problem
}

// Level is how bad a problem is.
type Level string

// The levels. With a warning the server is healthy all the same.
const (
	Error   Level = "error"   // something that worked, or should, does not
	Warning Level = "warning" // something to know: a file that is not there yet, one upstream server of several that is down
)

// Problem is what is wrong now. It holds no secret.
type Problem struct {
	Level Level  `json:"level"`
	Where string `json:"where"` // "default/mmdb", "store"
	Text  string `json:"text"`
}

// Summary is the whole answer.
type Summary struct {
	Healthy  bool // there is no error
	Problems []Problem
	Sections []Named
}

// Named is a section's value under its name.
type Named struct {
	Name  string
	Value any
}

var (
	mu       sync.Mutex
	sections []Section
)

// Register adds a section, in an init function. Two of one name are a programmer's mistake.
func Register(s Section) {
	mu.Lock()
	defer mu.Unlock()
	at, twice := slices.BinarySearchFunc(sections, s.Name, func(s Section, name string) int { return strings.Compare(s.Name, name) })
	if twice {
		panic("status: two sections are named " + s.Name)
	}
	sections = slices.Insert(sections, at, s)
}

// Collect asks every section, in the order of their names.
func Collect(ctx caddy.Context, q Query) Summary {
	mu.Lock()
	all := slices.Clone(sections)
	mu.Unlock()
	sum := Summary{Healthy: true, Problems: []Problem{}}
	for _, s := range all {
		r, ok := s.Report(ctx, q)
		if !ok {
			continue
		}
		sum.Sections = append(sum.Sections, Named{s.Name, r.Value})
		sum.Problems = append(sum.Problems, r.Problems...)
	}
	for _, p := range sum.Problems {
		sum.Healthy = sum.Healthy && p.Level != Error
	}
	return sum
}

// MarshalJSON writes {"healthy":true,"problems":[],"chains":{…},"store":{…}}.
func (s Summary) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	head, err := json.Marshal(struct {
		Healthy  bool      `json:"healthy"`
		Problems []Problem `json:"problems"`
	}{s.Healthy, s.Problems})
	if err != nil {
		return nil, err
	}
	b.Write(head[:len(head)-1])
	for _, n := range s.Sections {
		name, err := json.Marshal(n.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(n.Value)
		if err != nil {
			return nil, err
		}
		b.WriteByte(',')
		b.Write(append(append(name, ':'), value...))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
