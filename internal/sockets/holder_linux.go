package sockets

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder finds the process that listens on the port of address, from /proc: which socket, then whose file descriptor. It is
// empty where there is none or we may not look.
func holder(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	inodes := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listening(table, uint16(n), inodes)
	}
	return Owner(inodes)
}

// Owner is the process that has one of the sockets open, "caddy (pid 4711)". They are in the form that /proc/<pid>/fd links to,
// "socket:[4711]". It is empty where there is none or we may not look.
func Owner(inodes map[string]bool) string {
	if len(inodes) == 0 {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || !inodes[link] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		if pid == strconv.Itoa(os.Getpid()) {
			return "another server of this configuration"
		}
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(comm)), pid)
	}
	return ""
}

// listening adds the sockets of a /proc/net/tcp table that listen on port, in the form that /proc/<pid>/fd links to.
func listening(table string, port uint16, inodes map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cols := strings.Fields(lines.Text())
		const local, state, inode, listen = 1, 3, 9, "0A"
		if len(cols) > inode && cols[state] == listen && strings.HasSuffix(cols[local], suffix) {
			inodes["socket:["+cols[inode]+"]"] = true
		}
	}
}
