package prom

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Live is a collector of what things have counted that take each other's place while the process runs: servers, caches, sockets. What
// a thing has counted stays in the sum when it ends, so that counters never fall.
type Live[T comparable] struct {
	read    func(T, *Sample)
	metrics []*Metric

	mu     sync.Mutex
	things []T
	ended  *Sample
}

// NewLive makes a collector of those metrics; read adds what one thing has counted, and how it is. Things are read in the order in
// which they began. A scrape waits for read, and so do things that begin or end.
func NewLive[T comparable](read func(T, *Sample), metrics ...*Metric) *Live[T] {
	return &Live[T]{read: read, metrics: metrics, ended: newSample()}
}

// Begin has a thing read from now on.
func (l *Live[T]) Begin(thing T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.things = append(l.things, thing)
}

// End reads a thing for the last time. Call it when the thing counts no more, and can still be read.
func (l *Live[T]) End(thing T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.things, thing)
	if i < 0 {
		return
	}
	l.things = slices.Delete(l.things, i, i+1)
	last := newSample()
	l.read(thing, last)
	l.ended.addCounts(last)
}

// Metrics are what the collector has.
func (l *Live[T]) Metrics() []*Metric { return l.metrics }

// Describe implements prometheus.Collector.
func (l *Live[T]) Describe(ch chan<- *prometheus.Desc) { describe(l.metrics, ch) }

// Collect implements prometheus.Collector.
func (l *Live[T]) Collect(ch chan<- prometheus.Metric) {
	s := newSample()
	l.mu.Lock()
	s.addCounts(l.ended)
	for _, thing := range l.things {
		l.read(thing, s)
	}
	l.mu.Unlock()
	s.emit(ch)
}

func describe(metrics []*Metric, ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Reader is a collector of what is found when somebody asks.
type Reader struct {
	read    func(*Sample)
	metrics []*Metric
}

// NewReader makes a collector of those metrics. read may be called from several goroutines.
func NewReader(read func(*Sample), metrics ...*Metric) *Reader { return &Reader{read, metrics} }

// Metrics are what the collector has.
func (r *Reader) Metrics() []*Metric { return r.metrics }

// Describe implements prometheus.Collector.
func (r *Reader) Describe(ch chan<- *prometheus.Desc) { describe(r.metrics, ch) }

// Collect implements prometheus.Collector.
func (r *Reader) Collect(ch chan<- prometheus.Metric) {
	s := newSample()
	r.read(s)
	s.emit(ch)
}

// Interface guards
var (
	_ prometheus.Collector = (*Live[*Metric])(nil)
	_ prometheus.Collector = (*Reader)(nil)
)
