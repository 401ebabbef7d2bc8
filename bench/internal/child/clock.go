//go:build linux

package child

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU reads the process's CPU clock (clock_getcpuclockid(3)): the sum of utime and stime in /proc/PID/stat, but in
// nanoseconds, not in hundredths of a second. It is zero where there is no such process.
func ProcessCPU(pid int) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// OwnCPU is the processor time of this process and of its children that have ended: what a client took, also one that is a program.
func OwnCPU() time.Duration {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &ru)
	return ProcessCPU(os.Getpid()) + time.Duration(ru.Utime.Nano()+ru.Stime.Nano())
}

// MachineCPU is the processor time that all processes together have used, which the kernel counts in hundredths of a second.
func MachineCPU() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	var sum int64
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			sum += n
		}
	}
	return time.Duration(sum) * 10 * time.Millisecond
}
