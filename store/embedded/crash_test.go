package embedded

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/store"
)

// childEnv has the test binary be the process that is killed: it names the folder of the store, and the round.
const childEnv = "WHENCE_STORE_CHILD"

func TestMain(m *testing.M) {
	if arg := os.Getenv(childEnv); arg != "" {
		dir, round, _ := strings.Cut(arg, "|")
		child(dir, round)
	}
	os.Exit(m.Run())
}

// child claims until it is killed, on several goroutines, and prints each answer after it got it: "first" or "seen" and the name;
// "doing" and the name before it acknowledges, and "done" and the number after. Half of the names were claimed in earlier rounds.
func child(dir, round string) {
	s, err := Open(dir, Options{FoldNames: 200, maxUnfolded: 1e6, SyncEvery: time.Millisecond, FlushEvery: 5 * time.Millisecond})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	// Answers go to the pipe by one write each, so that none is lost with the process and none is torn.
	var wg sync.WaitGroup
	n, _ := strconv.Atoi(round)
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", n-i%2, g%2, i) // two goroutines contend for each name
				r, sighting := s.Ledger().Claim("stats", name, start)
				os.Stdout.WriteString(r.String() + " " + name + "\n")
				if r == store.First && i%3 == 0 {
					os.Stdout.WriteString("doing " + name + "\n")
					if err := s.Ledger().Done(sighting.Event); err == nil {
						os.Stdout.WriteString("done " + strconv.FormatUint(sighting.Event, 10) + "\n")
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestKill(t *testing.T) {
	const rounds = 25
	dir := t.TempDir()
	answered, firsts, doing, done := make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[uint64]bool)
	for round := range rounds {
		for _, line := range killed(t, dir, round) {
			word, rest, _ := strings.Cut(line, " ")
			switch word {
			case "first":
				if firsts[rest] {
					t.Fatalf("round %d: %s was first twice", round, rest)
				}
				firsts[rest], answered[rest] = true, true
			case "seen":
				answered[rest] = true
			case "doing":
				doing[rest] = true
			case "done":
				n, _ := strconv.ParseUint(rest, 10, 64)
				done[n] = true
			default:
				t.Fatalf("round %d: %s", round, line)
			}
		}
		if round%5 == 4 {
			checkKilled(t, dir, answered, firsts, doing, done)
		}
	}
	t.Logf("%d rounds, %d names answered, %d first, %d done", rounds, len(answered), len(firsts), len(done))
}

// killed runs a child, kills it at a moment of chance, and returns what it printed.
func killed(t *testing.T, dir string, round int) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir+"|"+strconv.Itoa(round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	most := 20 + rand.IntN(4000) // answers, so that it dies soon after the start as well as in a fold
	for in.Scan() {
		if lines = append(lines, in.Text()); len(lines) == most {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if len(lines) < most {
		t.Fatalf("the child ended by itself after %q", lines[max(0, len(lines)-3):])
	}
	return lines
}

// checkKilled opens what the killed processes left.
func checkKilled(t *testing.T, dir string, answered, firsts, doing map[string]bool, done map[uint64]bool) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	s, err := Open(dir, Options{Logger: zap.New(core), Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if logs.Len() > 0 {
		t.Errorf("log: %v", logs.All())
	}
	l := s.Ledger()
	for name := range answered {
		if r, got := l.Lookup("stats", name); r != store.Seen || !got.First.Equal(start) {
			t.Fatalf("%s was answered, and is %v, %+v", name, r, got)
		}
	}
	// A first contact is pending until it is done.
	list, err := l.Pending("stats", 0, 1e9)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool)
	for _, e := range list {
		if done[e.Event] {
			t.Fatalf("%s is pending after it was done", e.Name)
		}
		if left[e.Name] {
			t.Fatalf("%s is pending twice", e.Name)
		}
		left[e.Name] = true
	}
	for name := range firsts {
		if !left[name] && !doing[name] {
			t.Fatalf("%s was first, and is neither pending nor acknowledged", name)
		}
	}
	if n := len(list) + len(done); n > l.Len("stats") {
		t.Errorf("%d pending and %d done of %d names", len(list), len(done), l.Len("stats"))
	}
}
