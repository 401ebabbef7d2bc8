package watch

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// tree is a folder to change files in, with what a test does there.
type tree struct {
	*testing.T
	dir string
}

func (t tree) path(name string) string { return filepath.Join(t.dir, filepath.FromSlash(name)) }

func (t tree) check(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t tree) mkdir(name string) { t.Helper(); t.check(os.MkdirAll(t.path(name), 0o755)) }

// write overwrites in place.
func (t tree) write(name, text string) {
	t.Helper()
	t.check(os.WriteFile(t.path(name), []byte(text), 0o644))
}

// replace renames a new file over the old one.
func (t tree) replace(name, text string) {
	t.Helper()
	t.write(name+".new", text)
	t.check(os.Rename(t.path(name+".new"), t.path(name)))
}

// link makes or swaps a symbolic link as Kubernetes does: a new link is renamed over the old one.
func (t tree) link(target, name string) {
	t.Helper()
	if err := os.Symlink(filepath.FromSlash(target), t.path(name+".tmp")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	t.check(os.Rename(t.path(name+".tmp"), t.path(name)))
}

func (t tree) remove(name string) { t.Helper(); t.check(os.RemoveAll(t.path(name))) }

func (t tree) rename(from, to string) { t.Helper(); t.check(os.Rename(t.path(from), t.path(to))) }

// start watches pattern in the tree and returns where each change is told.
func (t tree) start(poll time.Duration, patterns ...string) <-chan struct{} {
	t.Helper()
	for i, p := range patterns {
		patterns[i] = t.path(p)
	}
	told := make(chan struct{}, 100)
	w := New(func(err error) { t.Error(err) }, func() { told <- struct{}{} }, patterns...)
	w.Quiet, w.Poll = 20*time.Millisecond, poll
	t.check(w.Start())
	t.Cleanup(func() { w.Close() })
	return told
}

func (t tree) wantTold(told <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Fatalf("not told: %s", what)
	}
}

func TestChanges(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pattern string
		before  func(tree)
		steps   []func(tree) // each must be told
	}{
		{"file appears", "a.db", nil, []func(tree){
			func(t tree) { t.write("a.db", "1") },
		}},
		{"file overwritten in place with as many bytes", "a.db", func(t tree) { t.write("a.db", "1") }, []func(tree){
			func(t tree) { t.write("a.db", "2") },
			func(t tree) { t.write("a.db", "3") },
		}},
		{"file replaced, vanishes, comes back", "a.db", func(t tree) { t.write("a.db", "1") }, []func(tree){
			func(t tree) { t.replace("a.db", "2") },
			func(t tree) { t.remove("a.db") },
			func(t tree) { t.write("a.db", "2") },
		}},
		{"folders missing, appear one by one, vanish, come back", "x/y/z/*.db", nil, []func(tree){
			func(t tree) {
				for _, d := range []string{"x", "x/y", "x/y/z"} {
					t.mkdir(d)
					time.Sleep(30 * time.Millisecond) // each on its own, so that each is followed
				}
				t.write("x/y/z/a.db", "1")
			},
			func(t tree) { t.remove("x") },
			func(t tree) { t.mkdir("x/y/z"); t.write("x/y/z/a.db", "1") },
			func(t tree) { t.write("x/y/z/b.db", "1") },
		}},
		{"folder replaced by another", "x/*.db", func(t tree) {
			t.mkdir("x")
			t.write("x/a.db", "1")
			t.mkdir("y")
			t.write("y/a.db", "2")
		}, []func(tree){
			func(t tree) { t.rename("x", "old"); t.rename("y", "x") },
			func(t tree) { t.write("x/a.db", "3") },
		}},
		{"folders by a glob", "*/a.db", nil, []func(tree){
			func(t tree) { t.mkdir("one"); t.write("one/a.db", "1") },
			func(t tree) { t.mkdir("two"); t.write("two/a.db", "1") },
			func(t tree) { t.replace("one/a.db", "2") },
		}},
		{"folder as the pattern", "records", nil, []func(tree){
			func(t tree) { t.mkdir("records") },
			func(t tree) { t.write("records/example.org", "1") },
			func(t tree) { t.write("records/example.org", "2") },
			func(t tree) { t.rename("records/example.org", "records/example.com") },
			func(t tree) { t.remove("records") },
		}},
		{"mounted configuration whose data link is swapped", "m/a.db", func(t tree) {
			t.mkdir("m/v1")
			t.write("m/v1/a.db", "1")
			t.mkdir("m/v2")
			t.write("m/v2/a.db", "2")
			t.link("v1", "m/data")
			t.link("data/a.db", "m/a.db")
		}, []func(tree){
			func(t tree) { t.link("v2", "m/data") },
			func(t tree) { t.link("v1", "m/data"); t.remove("m/v2") },
		}},
		{"link to the current release, somewhere on the way", "current/geo/*.db", func(t tree) {
			t.mkdir("r1/geo")
			t.write("r1/geo/a.db", "1")
			t.mkdir("r2/geo")
			t.write("r2/geo/a.db", "2")
			t.link("r1", "current")
		}, []func(tree){
			func(t tree) { t.link("r2", "current") },
			func(t tree) { t.write("r2/geo/a.db", "3") },
		}},
		{"link to a file that is replaced elsewhere", "a.db", func(t tree) {
			t.mkdir("far")
			t.write("far/a.db", "1")
			t.link("far/a.db", "a.db")
		}, []func(tree){
			func(t tree) { t.replace("far/a.db", "2") },
		}},
		{"name with metacharacters", "a[1].db", func(t tree) { t.write("a[1].db", "1") }, []func(tree){
			func(t tree) { t.write("a[1].db", "2") },
		}},
	} {
		for way, poll := range map[string]time.Duration{"notified": time.Hour, "polled": 20 * time.Millisecond} {
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				t.Parallel()
				tr := tree{t, t.TempDir()}
				if tt.before != nil {
					tt.before(tr)
				}
				told := tr.start(poll, tt.pattern)
				for _, step := range tt.steps {
					// A file system may keep time in ticks of some milliseconds.
					time.Sleep(15 * time.Millisecond)
					step(tr)
					tr.wantTold(told, tt.name)
				drain:
					for { // a step of several changes may be told more than once
						select {
						case <-told:
						case <-time.After(100 * time.Millisecond):
							break drain
						}
					}
				}
			})
		}
	}
}

func TestWithoutNotifications(t *testing.T) {
	tr := tree{t, t.TempDir()}
	told := make(chan struct{}, 10)
	w := New(nil, func() { told <- struct{}{} }, tr.path("x/*.db"))
	w.Quiet, w.Poll = 10*time.Millisecond, 10*time.Millisecond
	tr.check(w.Start())
	defer w.Close()
	tr.check(w.notify.Close()) // as where the system has none to give
	tr.mkdir("x")
	tr.write("x/a.db", "1")
	tr.wantTold(told, "a file that came, by polling alone")
}

func TestCopyInProgressIsNotTold(t *testing.T) {
	tr := tree{t, t.TempDir()}
	told := make(chan time.Time, 10)
	w := New(nil, func() { told <- time.Now() }, tr.path("a.db"))
	w.Quiet = 200 * time.Millisecond
	tr.check(w.Start())
	defer w.Close()
	f, err := os.Create(tr.path("a.db"))
	tr.check(err)
	var last time.Time
	for range 40 {
		_, err := f.WriteString("part")
		tr.check(err)
		last = time.Now()
		time.Sleep(20 * time.Millisecond)
	}
	f.Close()
	if at := <-told; at.Before(last) {
		t.Errorf("told %v before the last write", last.Sub(at))
	}
}

func TestLookHoldsBackAtMostLongest(t *testing.T) {
	tr := tree{t, t.TempDir()}
	calls := 0
	w := New(nil, func() { calls++ }, tr.path("a.db"))
	w.Longest = 10 * time.Second
	w.told = w.take()
	now := time.Unix(0, 0)
	for i := range 10 {
		tr.write("a.db", string(make([]byte, i)))
		w.look(now.Add(time.Duration(i) * time.Second))
	}
	if calls != 0 {
		t.Fatalf("told %d times while the file was changing", calls)
	}
	tr.write("a.db", "the last of it")
	w.look(now.Add(10 * time.Second))
	if calls != 1 {
		t.Errorf("told %d times after %v of changes, want once", calls, w.Longest)
	}
	w.look(now.Add(11 * time.Second))
	if calls != 1 {
		t.Error("told of what was told before")
	}
}

func TestNeighboursAreNotTold(t *testing.T) {
	tr := tree{t, t.TempDir()}
	tr.write("a.db", "1")
	told := tr.start(time.Hour, "a.db")
	tr.write("b.db", "1")
	select {
	case <-told:
		t.Error("told of a file that no pattern names")
	case <-time.After(150 * time.Millisecond):
	}
	tr.write("a.db", "12")
	tr.wantTold(told, "the file that is named")
}

func TestLifecycle(t *testing.T) {
	dir := t.TempDir()
	if err := New(nil, nil, filepath.Join(dir, "[")).Start(); err == nil {
		t.Error("a malformed pattern was taken")
	}
	unused := New(nil, nil, dir)
	for range 2 {
		if err := unused.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := unused.Start(); err == nil {
		t.Error("started after Close")
	}

	var running atomic.Bool
	entered := make(chan struct{}, 10)
	w := New(nil, func() {
		running.Store(true)
		entered <- struct{}{}
		time.Sleep(50 * time.Millisecond)
		running.Store(false)
	}, filepath.Join(dir, "a.db"))
	w.Quiet = 5 * time.Millisecond
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err == nil {
		t.Error("started twice")
	}
	if err := os.WriteFile(filepath.Join(dir, "a.db"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	<-entered
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if running.Load() {
			t.Error("Close returned while changed was running")
		}
	}
}
