package prom

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sample collects the values of metrics at one moment. What has the same metric and labels is one series.
type Sample struct {
	series map[string]*series
	order  []*series
}

// series is one metric with values for its labels.
type series struct {
	metric    *Metric
	labels    []string
	value     float64
	durations []uint64
}

func newSample() *Sample { return &Sample{series: make(map[string]*series)} }

// at is the series of those labels. Values of labels may come from file names, which need not be UTF-8; labels must be.
func (s *Sample) at(m *Metric, labels []string) *series {
	labels = slices.Clone(labels)
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	key := m.Name + "\x00" + strings.Join(labels, "\x00")
	found := s.series[key]
	if found == nil {
		found = &series{metric: m, labels: labels}
		s.series[key] = found
		s.order = append(s.order, found)
	}
	return found
}

// Add adds to a counter, or to a gauge that sums up over several things.
func (s *Sample) Add(m *Metric, v float64, labels ...string) { s.at(m, labels).value += v }

// Set sets a gauge. Of several things the last that is read counts: the newest.
func (s *Sample) Set(m *Metric, v float64, labels ...string) { s.at(m, labels).value = v }

// SetBool sets a gauge to 1 or 0.
func (s *Sample) SetBool(m *Metric, v bool, labels ...string) {
	n := 0.0
	if v {
		n = 1
	}
	s.Set(m, n, labels...)
}

// SetTime sets a gauge to a time, in seconds since 1970. One that is not known leaves no value.
func (s *Sample) SetTime(m *Metric, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.Set(m, float64(t.UnixMilli())/1000, labels...)
	}
}

// AddDurations adds to a histogram. Element i of counts is how many durations took less than 2^i µs, and not less than half of it;
// the last has all that took longer. Sums are estimated: each duration is taken for the middle of its bucket.
func (s *Sample) AddDurations(m *Metric, counts []uint64, labels ...string) {
	at := s.at(m, labels)
	if at.durations == nil {
		at.durations = make([]uint64, len(counts))
	}
	for i, n := range counts {
		at.durations[i] += n
	}
}

// addCounts adds what only grows of another sample.
func (s *Sample) addCounts(of *Sample) {
	for _, from := range of.order {
		switch from.metric.Type {
		case TypeCounter:
			s.Add(from.metric, from.value, from.labels...)
		case TypeHistogram:
			s.AddDurations(from.metric, from.durations, from.labels...)
		}
	}
}

// emit hands the series to a scrape.
func (s *Sample) emit(ch chan<- prometheus.Metric) {
	for _, at := range s.order {
		ch <- at.constMetric()
	}
}

func (at *series) constMetric() prometheus.Metric {
	switch at.metric.Type {
	case TypeHistogram:
		return at.histogram()
	case TypeCounter:
		return prometheus.MustNewConstMetric(at.metric.desc, prometheus.CounterValue, at.value, at.labels...)
	}
	return prometheus.MustNewConstMetric(at.metric.desc, prometheus.GaugeValue, at.value, at.labels...)
}

func (at *series) histogram() prometheus.Metric {
	buckets := make(map[float64]uint64, len(at.durations))
	var n uint64
	sum := 0.0
	for i, count := range at.durations {
		n += count
		most := math.Ldexp(1e-6, i)
		sum += float64(count) * most * 0.75
		if i < len(at.durations)-1 {
			buckets[most] = n
		}
	}
	return prometheus.MustNewConstHistogram(at.metric.desc, n, sum, buckets, at.labels...)
}
