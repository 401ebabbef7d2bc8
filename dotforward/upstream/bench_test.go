//go:build unix

package upstream

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

const childVariable = "WHENCE_DOTTEST_CHILD"

// TestMain is the server of the benchmarks when the test started itself as one: its CPU must not be counted with ours.
func TestMain(m *testing.M) {
	if mode := os.Getenv(childVariable); mode != "" {
		serveChild(mode)
		return
	}
	os.Exit(m.Run())
}

func serveChild(mode string) {
	cert, _ := certificate()
	fake := dottest.New(cert)
	fake.Behave(dottest.Behaviour{EachItsRecord: mode == "each"})
	address, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(address, base64.StdEncoding.EncodeToString(cert.Certificate[0]))
	io.Copy(io.Discard, os.Stdin) // until the parent is gone
}

// child starts a server of its own process and returns a Server for it.
func child(b *testing.B, mode string) *Server {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+mode)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	address, encoded, _ := strings.Cut(strings.TrimSpace(line), " ")
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewDoT(Options{Host: host, Port: uint16(n), Name: serverName, Roots: roots})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkMisses keeps 400 queries with names of their own under way, at a server in another process that answers at once. cpu-µs
// is the CPU that this process took for a query.
func BenchmarkMisses(b *testing.B) {
	for _, mode := range []string{"packed", "each"} {
		b.Run(mode, func(b *testing.B) {
			s := child(b, mode)
			p, err := NewPool(PoolOptions{}, s)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close(context.Background())
			b.ReportAllocs()
			misses(b, p, 400)
		})
	}
}

func misses(b *testing.B, p *Pool, inFlight int) {
	var asked, answered, failed atomic.Int64
	done := make(chan struct{})
	n := int64(b.N)
	began := cpu()
	b.ResetTimer()
	for i := range inFlight {
		q := query("nnnnnnnn.example.org", uint16(i))
		var ask func()
		reply := func(_ []byte, _ *Server, err error) {
			if err != nil {
				failed.Add(1)
			}
			if answered.Add(1) == n {
				close(done)
			}
			ask()
		}
		ask = func() {
			k := asked.Add(1)
			if k > n {
				return
			}
			for i := range 8 { // a name of its own, in letters
				q[headerSize+1+i] = 'a' + byte(k>>(4*i))&15
			}
			p.Ask(q, time.Now().Add(5*time.Second), reply)
		}
		ask()
	}
	<-done
	b.StopTimer()
	b.ReportMetric(float64((cpu()-began).Nanoseconds())/1000/float64(n), "cpu-µs/op")
	if failed.Load() > 0 {
		b.Errorf("%d of %d failed; %+v", failed.Load(), n, p.Servers()[0].Stats())
	}
}
