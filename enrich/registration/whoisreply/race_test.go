//go:build race

package whoisreply

import "time"

// limit allows for the race detector.
const limit = 20 * time.Second
