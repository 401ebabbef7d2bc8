//go:build linux || dragonfly || openbsd || solaris || illumos

package watch

import (
	"io/fs"
	"syscall"
)

func (f *Fingerprint) system(info fs.FileInfo) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		f.Inode, f.Device = uint64(s.Ino), uint64(s.Dev)
		f.Changed = int64(s.Ctim.Sec)*1e9 + int64(s.Ctim.Nsec)
	}
}
