package caddynotify

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/digest"
)

const (
	mostText   = 500 // bytes of a value
	mostFields = 24  // of an event
	mostList   = 20  // elements of a list
)

// eventOf is an event of Caddy's as a digest takes it: what handlers may keep and show.
func eventOf(name string, at time.Time, data map[string]any) digest.Event {
	e := digest.Event{Name: short(name), Time: at.UTC().Truncate(time.Millisecond), Data: make(map[string]any, len(data))}
	for _, field := range fieldsOf(name, data) {
		if v := shown(data[field]); v != nil && len(e.Data) < mostFields {
			e.Data[short(field)] = v
		}
	}
	k := kindOf(name)
	e.Story, e.State = k.story, k.state
	for _, field := range k.keys {
		if v, ok := e.Data[field]; ok {
			e.Key = fmt.Sprint(v)
			break
		}
	}
	return e
}

// shown is a value as it may be shown and written as JSON, nil for one that may not: events of others may have anything.
func shown(v any) any {
	switch v := v.(type) {
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v) // JSON has no such numbers
		}
		return v
	case string:
		return short(v)
	case []string:
		list := make([]string, 0, min(len(v), mostList))
		for _, s := range v[:min(len(v), mostList)] {
			list = append(list, short(s))
		}
		return list
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case time.Duration:
		return v.String()
	case error:
		return short(v.Error())
	}
	return nil
}

// short is text on one line, cut short.
func short(s string) string {
	s = enrich.Clean(s)
	if len(s) <= mostText {
		return s
	}
	return strings.ToValidUTF8(s[:mostText], "") + "…"
}

// text is a value in words; "" where there is nothing to say.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []string:
		return strings.Join(v, ", ")
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// fieldsOf are the fields of an event in their order: as they are documented, and others after them.
func fieldsOf(name string, data map[string]any) []string {
	documented := kindOf(name).fields
	fields := make([]string, 0, len(data))
	for _, f := range documented {
		if _, ok := data[f]; ok {
			fields = append(fields, f)
		}
	}
	rest := len(fields)
	for f := range data {
		if !slices.Contains(documented, f) {
			fields = append(fields, f)
		}
	}
	slices.Sort(fields[rest:])
	return fields
}
