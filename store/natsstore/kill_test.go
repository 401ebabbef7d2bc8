package natsstore

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/bus"
)

// childEnv has the test binary be a node that is killed: it names the folder, the server, the bucket, and the round.
const childEnv = "WHENCE_NATSSTORE_CHILD"

func TestMain(m *testing.M) {
	if arg := os.Getenv(childEnv); arg != "" {
		child(strings.Split(arg, "|"))
	}
	os.Exit(m.Run())
}

// killOptions are those of the nodes that are killed.
func killOptions(bucket string) Options { return Options{Bucket: bucket, AckWait: time.Second} }

// child claims and emits until it is killed, and prints what it was answered, each line by one write: "first", "seen" or "unknown"
// and the name; "emit" and the name before it marks a first contact as done, "done" and the name after.
func child(args []string) {
	say := func(word, name string) { os.Stdout.WriteString(word + " " + name + "\n") }
	b, err := bus.Open(bus.Options{URLs: []string{args[1]}})
	if err != nil {
		say("error", err.Error())
		os.Exit(1)
	}
	s, err := Open(args[0], b, killOptions(args[2]))
	if err != nil {
		say("error", err.Error())
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%s-%d", args[3], i)
				r, _ := s.Ledger().Claim("stats", name, start)
				say(r.String(), name)
			}
		})
	}
	wg.Go(func() {
		for {
			list, _ := s.Ledger().Pending("stats", 0, 50)
			for _, g := range list {
				say("emit", g.Name)
				if s.Ledger().Done(g.Event) == nil {
					say("done", g.Name)
				}
			}
		}
	})
	wg.Wait()
}

// killed runs a node for a while, kills it, and returns what it printed.
func killed(t *testing.T, dir, url, bucket string, round int) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%s|%d", childEnv, dir, url, bucket, round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	most := 3000 + rand.IntN(3000)
	for in.Scan() {
		lines = append(lines, in.Text())
		if len(lines) == most {
			_ = cmd.Process.Kill() // and read on to the end
		}
	}
	_ = cmd.Wait()
	if len(lines) < most {
		t.Fatalf("the node ended: %q", lines)
	}
	return lines
}

// TestClusterKill kills nodes that claim the same names and emit, over and over. Every name that was answered is first once and is
// emitted; twice only where a node died between emitting and marking.
func TestClusterKill(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Options{})
	bucket, dirs := newBucket(), []string{t.TempDir(), t.TempDir()}
	firsts, answered, emits, dones := map[string]int{}, map[string]bool{}, map[string]int{}, map[string]int{}
	for round := range 4 {
		var nodes sync.WaitGroup
		lines := make([][]string, len(dirs))
		for i, dir := range dirs {
			nodes.Go(func() { lines[i] = killed(t, dir, server.URL, bucket, round) })
		}
		nodes.Wait()
		for _, line := range append(lines[0], lines[1]...) {
			word, name, whole := strings.Cut(line, " ")
			switch {
			case !whole:
			case word == "first":
				firsts[name]++
				answered[name] = true
			case word == "seen" || word == "unknown":
				answered[name] = true
			case word == "emit":
				emits[name]++
			case word == "done":
				dones[name]++
			}
		}
	}
	b := connect(t, server.URL)
	s, other := open(t, dirs[0], b, killOptions(bucket)), open(t, dirs[1], b, killOptions(bucket))
	synced(t, s, other)
	until(t, "all claimed", func() bool { return s.Status().Unclaimed+other.Status().Unclaimed == 0 })
	e := newEmitter()
	until(t, "all emitted", func() bool {
		e.step(t, s, "stats")
		return s.Ledger().Status().Events == 0
	})
	synced(t, s, other)
	for _, node := range []*Store{s, other} {
		for name := range answered {
			if r, g := node.Ledger().Lookup("stats", name); r != store.Seen || !g.First.Equal(start) {
				t.Errorf("%s was answered and is %v", name, r)
			}
		}
		if n, want := node.Ledger().Len("stats"), other.Ledger().Len("stats"); n != want {
			t.Errorf("one node knows %d names, the other %d", n, want)
		}
	}
	twice := 0
	for name := range answered {
		if firsts[name] > 1 {
			t.Errorf("%s was first %d times", name, firsts[name])
		}
		all := emits[name] + e.emitted[name]
		if all == 0 {
			t.Errorf("%s was never emitted", name)
		}
		if all > 1 {
			if twice++; dones[name]+e.emitted[name] > 1 {
				t.Errorf("%s was emitted %d times and done %d", name, all, dones[name]+e.emitted[name])
			}
		}
	}
	if most := 2 * 4; twice > most { // a node dies in at most one
		t.Errorf("%d were emitted twice, in %d deaths", twice, most)
	}
	t.Logf("%d names, %d emitted twice by nodes that died", len(answered), twice)
}
