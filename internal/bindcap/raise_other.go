//go:build !linux

package bindcap

// raised has nothing to raise: capabilities are Linux'.
func raised(func()) {}
