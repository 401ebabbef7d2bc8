package prom

import "github.com/prometheus/client_golang/prometheus"

// Type is what a metric is, in the words of the exposition format.
type Type string

// The types.
const (
	TypeCounter   Type = "counter"
	TypeGauge     Type = "gauge"
	TypeHistogram Type = "histogram"
)

// Metric is a metric of a collector of this package.
type Metric struct {
	Name   string
	Type   Type
	Labels []string

	desc *prometheus.Desc
}

// Counter makes a metric that only grows. Labels have values of the program's own or of the configuration's, none that a client
// chooses.
func Counter(name, help string, labels ...string) *Metric {
	return newMetric(TypeCounter, name, help, labels)
}

// Gauge makes a metric of what is now.
func Gauge(name, help string, labels ...string) *Metric {
	return newMetric(TypeGauge, name, help, labels)
}

// Histogram makes a metric of durations: see [Sample.AddDurations].
func Histogram(name, help string, labels ...string) *Metric {
	return newMetric(TypeHistogram, name, help, labels)
}

func newMetric(t Type, name, help string, labels []string) *Metric {
	return &Metric{Name: name, Type: t, Labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
}
