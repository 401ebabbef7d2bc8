package cache

import "time"

// Options say how much is kept for how long. The zero value of a field is its default; a negative duration is none at all.
type Options struct {
	// MaxBytes bounds all answers and what is needed to find them. Default 64 MiB, which is about 500,000 small answers; counted
	// in whole MiB, and at least one. Memory is taken as it fills.
	MaxBytes int64
	// MinTTL and MaxTTL bound how long an answer is fresh, and the TTLs that clients see. Defaults 0 and 24 h.
	MinTTL, MaxTTL time.Duration
	// NegativeMaxTTL bounds the same for answers that say that there is nothing (RFC 2308 section 5). Default 1 h.
	NegativeMaxTTL time.Duration
	// FailTTL is how long SERVFAIL, REFUSED and their like are kept (RFC 9520 section 3.2: 1 s to 5 min). Default 5 s, which is also the most.
	FailTTL time.Duration
	// StaleFor is how long answers are kept beyond their TTL. Default 24 h (RFC 8767 section 5).
	StaleFor time.Duration
	// StaleTTL is the TTL of what has run out, and how long after a failure nobody is told to ask again for a stale answer.
	// Default 30 s (RFC 8767 sections 4 and 5).
	StaleTTL time.Duration
	// PrefetchAt is which part of an answer's life is left when it is asked for again ahead of time, in percent. Default 10;
	// negative for never.
	PrefetchAt int
	// PrefetchHits is how often an answer must have been used for that. Default 2.
	PrefetchHits int
	// MaxWaiters bounds how many wait for one answer. Default 4096.
	MaxWaiters int
	// FlightTimeout is after how long somebody who asks is no longer waited for. Default 10 s.
	FlightTimeout time.Duration
}

const (
	maxFail    = 5 * time.Second
	maxSeconds = 1<<31 - 1 // the longest TTL there is (RFC 2181 section 8)
)

func (o Options) withDefaults() Options {
	either := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
		*d = max(*d, 0)
	}
	either(&o.MinTTL, 0)
	either(&o.MaxTTL, 24*time.Hour)
	either(&o.NegativeMaxTTL, time.Hour)
	either(&o.FailTTL, maxFail)
	either(&o.StaleFor, 24*time.Hour)
	either(&o.StaleTTL, 30*time.Second)
	o.FailTTL = min(o.FailTTL, maxFail)
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	o.MaxBytes = max(o.MaxBytes, shardBytes)
	if o.PrefetchAt == 0 {
		o.PrefetchAt = 10
	}
	o.PrefetchAt = min(max(o.PrefetchAt, 0), 100)
	if o.PrefetchHits == 0 {
		o.PrefetchHits = 2
	}
	if o.MaxWaiters <= 0 {
		o.MaxWaiters = 4096
	}
	if o.FlightTimeout <= 0 {
		o.FlightTimeout = 10 * time.Second
	}
	return o
}

// seconds is d in whole seconds.
func seconds(d time.Duration) uint32 { return uint32(min(max(d/time.Second, 0), maxSeconds)) }
