//go:build !race

package main

import "time"

const (
	race = false
	// patience is how long a test waits for what should come at once; it is long since machines are busy.
	patience = 30 * time.Second
)
