package sockets

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func listen(t *testing.T) *Listener {
	t.Helper()
	l, err := Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func says(word string) Handler {
	return func(c net.Conn) {
		go func() {
			io.WriteString(c, word)
			c.Close()
		}()
	}
}

func ask(t *testing.T, l *Listener) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNewestHandlerServes(t *testing.T) {
	l := listen(t)
	old := l.Attach(says("old"))
	if got := ask(t, l); got != "old" {
		t.Errorf("one handler: answered %q", got)
	}
	failed := l.Attach(says("failed"))
	if got := ask(t, l); got != "failed" {
		t.Errorf("a newer handler: answered %q", got)
	}
	failed() // a configuration that was rolled back
	if got := ask(t, l); got != "old" {
		t.Errorf("the newer one withdrawn: answered %q", got)
	}
	old()
	if got := ask(t, l); got != "" {
		t.Errorf("no handler: answered %q", got)
	}
}

// TestTakeOverLosesNothing swaps handlers under load, as a reload does.
func TestTakeOverLosesNothing(t *testing.T) {
	l := listen(t)
	detach := l.Attach(says("yes"))
	var wg sync.WaitGroup
	var asked, lost atomic.Int64
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					lost.Add(1)
					continue
				}
				if b, err := io.ReadAll(c); err != nil || string(b) != "yes" {
					lost.Add(1)
				}
				c.Close()
			}
		})
	}
	for range 200 {
		next := l.Attach(says("yes"))
		before := asked.Load()
		for asked.Load() < before+4 {
			runtime.Gosched()
		}
		detach()
		detach = next
	}
	close(stop)
	wg.Wait()
	if lost.Load() != 0 {
		t.Errorf("%d of %d connections lost over 200 hand-overs", lost.Load(), asked.Load())
	}
}

func TestCloseEndsAcceptLoop(t *testing.T) {
	l := listen(t)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("a closed listener accepted a connection")
	}
}

func TestAddressInUse(t *testing.T) {
	l := listen(t)
	_, err := Listen(context.Background(), "tcp", l.Addr().String())
	var inUse *InUseError
	if !errors.As(err, &inUse) {
		t.Fatalf("second listener: %v, want an InUseError", err)
	}
	if runtime.GOOS == "linux" && !strings.Contains(err.Error(), "another server of this configuration") {
		t.Errorf("the error does not name the holder: %v", err)
	}
}

// TestAddressInUseByAnother has another process hold the port: this test binary, started again.
func TestAddressInUseByAnother(t *testing.T) {
	if os.Getenv("SOCKETS_HOLD") != "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(os.Stdout, l.Addr().String()+"\n")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which process holds a port")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAddressInUseByAnother$")
	cmd.Env = append(os.Environ(), "SOCKETS_HOLD=1")
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	b := make([]byte, 64)
	n, _ := stdout.Read(b)
	address := strings.TrimSpace(string(b[:n]))
	_, err := Listen(context.Background(), "tcp", address)
	if err == nil || !strings.Contains(err.Error(), "sockets.test (pid ") {
		t.Errorf("listening on %s: %v, want an error that names the process", address, err)
	}
}
