package bindcap

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const netBindService = 1 << unix.CAP_NET_BIND_SERVICE

// raised calls f with the capability, if it can be had. Capabilities are the thread's: f has one of its own, which ends with it.
func raised(f func()) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil || data[0].Permitted&netBindService == 0 || data[0].Effective&netBindService != 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and not unlocked, so that the thread is not used again
		with := data
		with[0].Effective |= netBindService
		if unix.Capset(&hdr, &with[0]) != nil {
			return
		}
		f()
		_ = unix.Capset(&hdr, &data[0]) // the main thread, if it is that one, is kept by the runtime
	}()
	<-done
}
