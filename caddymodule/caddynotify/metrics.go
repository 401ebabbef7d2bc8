package caddynotify

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/whence-project/whence/internal/digest"
)

var (
	messagesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_whence_notifications_total",
		Help: "Messages that were delivered, and tries that failed.",
	}, []string{"handler", "outcome"})
	eventsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_whence_notification_events_total",
		Help: "Events that messages told of, that they only counted, and that were lost.",
	}, []string{"handler", "outcome"})
)

// counted counts what becomes of a handler's messages and events.
func counted(handler string) func(digest.Outcome, int) {
	return func(what digest.Outcome, n int) {
		switch what {
		case digest.Sent:
			messagesTotal.WithLabelValues(handler, "sent").Add(float64(n))
		case digest.Failed:
			messagesTotal.WithLabelValues(handler, "failed").Add(float64(n))
		case digest.Told:
			eventsTotal.WithLabelValues(handler, "told").Add(float64(n))
		case digest.Unlisted:
			eventsTotal.WithLabelValues(handler, "unlisted").Add(float64(n))
		case digest.Lost:
			eventsTotal.WithLabelValues(handler, "lost").Add(float64(n))
		}
	}
}
