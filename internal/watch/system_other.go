//go:build !(linux || dragonfly || openbsd || solaris || illumos || darwin || freebsd || netbsd)

package watch

import "io/fs"

func (*Fingerprint) system(fs.FileInfo) {}
