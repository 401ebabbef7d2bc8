package bindcap

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDo is run again in a network and with users of its own, where every port is free and the process has all capabilities, of which it
// holds none ready, or has none at all.
func TestDo(t *testing.T) {
	const again = "BINDCAP_TEST"
	if has := os.Getenv(again); has != "" {
		fmt.Println("said:", portOf(t, has == "permitted"))
		return
	}
	for has, want := range map[string]string{"permitted": "said: opened\n", "nothing": "said: refused\n"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDo$")
		cmd.Env = append(os.Environ(), again+"="+has)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, fs.ErrPermission) {
			t.Skipf("no user namespaces here: %v", err)
		}
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", has, err, out)
		}
	}
}

// portOf tries to open a port of WHOIS with nothing but what is permitted.
func portOf(t *testing.T, permitted bool) string {
	runtime.LockOSThread() // capabilities are the thread's, and inherited by those that it starts
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if permitted {
		data[0].Permitted = netBindService
	}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		t.Fatal(err)
	}
	listen := func() (net.Listener, error) { return net.Listen("tcp", "0.0.0.0:43") }
	if _, err := listen(); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("without the capability: %v", err)
	}
	defer func() {
		if _, err := listen(); err == nil {
			t.Error("the capability was kept")
		}
	}()
	ln, err := Do(listen)
	if err != nil {
		return "refused"
	}
	ln.Close()
	return "opened"
}
