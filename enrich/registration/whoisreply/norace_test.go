//go:build !race

package whoisreply

import "time"

const limit = time.Second
