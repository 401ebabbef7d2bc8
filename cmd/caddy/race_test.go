//go:build race

package main

import "time"

// Tests that look for races drive a binary that does too, and is several times slower.
const (
	race     = true
	patience = 2 * time.Minute
)
