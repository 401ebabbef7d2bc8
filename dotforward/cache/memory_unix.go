//go:build unix

package cache

import "golang.org/x/sys/unix"

// allocate takes memory from the system that the garbage collector neither scans nor counts: a large cache would else have it wait
// for as much garbage as the cache has bytes. Pages are taken when they are first written.
func allocate(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func release(b []byte) error {
	if b == nil {
		return nil
	}
	return unix.Munmap(b)
}
