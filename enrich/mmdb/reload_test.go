package mmdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/enrich"
)

// version is a database in which 10.0.0.0/8 has the AS number n, and which is large enough to be copied in parts.
func version(n int) []byte {
	return write("Test", 4,
		network{"10.0.0.0/8", object{{"asn", n}, {"pad", strings.Repeat("x", 50000)}}},
		network{"11.0.0.0/8", object{{"asn", n + 1}}})
}

// folder is a source whose file the test changes.
type folder struct {
	*testing.T
	dir  string
	s    *Source
	logs *observer.ObservedLogs
}

func openFolder(t *testing.T, pattern string) *folder {
	core, logs := observer.New(zapcore.InfoLevel)
	f := &folder{T: t, dir: t.TempDir(), logs: logs}
	f.s = New(Options{Patterns: []string{filepath.Join(f.dir, pattern)}, Logger: zap.New(core)})
	f.s.watcher.Quiet = 20 * time.Millisecond
	if err := f.s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.s.Close() })
	return f
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) write(name string, b []byte) {
	f.Helper()
	if err := os.WriteFile(f.path(name), b, 0o644); err != nil {
		f.Fatal(err)
	}
}

func (f *folder) replace(name string, b []byte) {
	f.Helper()
	f.write(name+".part", b)
	if err := os.Rename(f.path(name+".part"), f.path(name)); err != nil {
		f.Fatal(err)
	}
}

func (f *folder) remove(name string) {
	f.Helper()
	if err := os.Remove(f.path(name)); err != nil {
		f.Fatal(err)
	}
}

// asn is the AS numbers that the source has for 10.1.1.1.
func (f *folder) asn() string {
	var ns []string
	for _, p := range answer(f.s, address("10.1.1.1")).Parts() {
		ns = append(ns, p.Fragment.Value(enrich.ASN))
	}
	return strings.Join(ns, " ")
}

func (f *folder) until(what string, ok func() bool) {
	f.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("%s: not in 20 s; status %+v", what, f.s.Status())
		}
	}
}

func (f *folder) untilASN(want string) {
	f.Helper()
	f.until("asn "+want, func() bool { return f.asn() == want })
}

// untilRefused waits for an error in the status of file i that contains want.
func (f *folder) untilRefused(i int, want string) {
	f.Helper()
	f.until("refused: "+want, func() bool {
		d := f.s.Status().Data
		return i < len(d) && strings.Contains(d[i].Error, want)
	})
}

func (f *folder) logged(message string) int { return f.logs.FilterMessage(message).Len() }

func TestFolderThatComesLater(t *testing.T) {
	f := openFolder(t, "data/*.mmdb")
	if f.asn() != "" || f.logged("no database there yet; watching for it") != 1 {
		t.Errorf("answers %q, logged %v", f.asn(), f.logs.All())
	}
	st := f.s.Status()
	if st.Kind != "mmdb" || st.Generation != 0 || len(st.Data) != 1 || !strings.Contains(st.Data[0].Error, "watched") {
		t.Errorf("status %+v", st)
	}
	if err := os.Mkdir(f.path("data"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("data/a.mmdb", version(1))
	f.untilASN("AS1")
	st = f.s.Status()
	d := st.Data[0]
	if len(st.Data) != 1 || st.Generation != 1 || st.Records != 2 || d.Records != 2 || d.Error != "" || d.Type != "Test" ||
		d.Bytes != int64(len(version(1))) || d.Built != time.Unix(1800000000, 0).UTC() || d.Loaded.IsZero() || st.LastError != "" {
		t.Errorf("status %+v", st)
	}
}

func TestReplacement(t *testing.T) {
	f := openFolder(t, "a.mmdb")
	f.write("a.mmdb", version(1))
	f.untilASN("AS1")

	f.replace("a.mmdb", version(2))
	f.untilASN("AS2")
	f.write("a.mmdb", version(3)) // in place, with as many bytes
	f.untilASN("AS3")
	if g := f.s.Status().Generation; g != 3 {
		t.Errorf("generation %d after three files", g)
	}

	half := version(4)
	f.write("a.mmdb", half[:len(half)/2])
	f.untilRefused(0, "no MMDB file")
	if f.asn() != "AS3" {
		t.Errorf("%s answers while half a file is there, want the last good one", f.asn())
	}
	st := f.s.Status()
	if st.Generation != 3 || st.Records != 2 || !strings.Contains(st.LastError, f.path("a.mmdb")) || st.ErrorTime.IsZero() {
		t.Errorf("status %+v", st)
	}
	refusals := f.logs.FilterMessage("database refused").All()
	if len(refusals) != 1 || refusals[0].ContextMap()["last_good_serves"] != true {
		t.Errorf("logged %v", refusals)
	}
	rest, err := os.OpenFile(f.path("a.mmdb"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rest.Write(half[len(half)/2:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	f.untilASN("AS4")
	if d := f.s.Status().Data[0]; d.Error != "" {
		t.Errorf("error %q after the rest came", d.Error)
	}
}

func TestRemoval(t *testing.T) {
	f := openFolder(t, "*.mmdb")
	f.write("a-2026-10.mmdb", version(1))
	f.untilASN("AS1")
	f.remove("a-2026-10.mmdb")
	f.untilRefused(0, "gone")
	if f.asn() != "AS1" {
		t.Errorf("%s answers after the file was removed, want the last good one", f.asn())
	}
	f.write("a-2026-10.mmdb", version(2))
	f.untilASN("AS2")

	// The next month's file under the next month's name takes over.
	f.remove("a-2026-10.mmdb")
	f.write("a-2026-11.mmdb", version(3))
	f.untilASN("AS3")
	if n := len(f.s.Status().Data); n != 1 {
		t.Errorf("%d files in the status: %+v", n, f.s.Status())
	}

	// What has no successor goes with the next configuration.
	f.remove("a-2026-11.mmdb")
	f.untilRefused(0, "gone")
	f.s.Refresh()
	if f.asn() != "" {
		t.Errorf("%s answers after Refresh", f.asn())
	}
	if st := f.s.Status(); st.Records != 0 || len(st.Data) != 1 || st.Data[0].Path != f.path("*.mmdb") {
		t.Errorf("status %+v", st)
	}
}

func TestBrokenNeighbourIsNoHindrance(t *testing.T) {
	f := openFolder(t, "*.mmdb")
	f.write("a.mmdb", []byte("no database"))
	f.untilRefused(0, "no MMDB file")
	f.write("b.mmdb", version(1))
	f.untilASN("AS1")
	before := f.logged("database loaded")
	f.write("a.mmdb", version(5))
	f.untilASN("AS5 AS1")
	if n := f.logged("database loaded") - before; n != 1 {
		t.Errorf("%d files loaded for one that changed", n)
	}
}

// Under load every answer is one of the versions that were there, whole, and never fewer than nothing.
func TestSwapUnderLoad(t *testing.T) {
	f := openFolder(t, "a.mmdb")
	f.write("a.mmdb", version(1))
	f.untilASN("AS1")
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var r enrich.Record
			q := enrich.Query{Subject: address("10.1.1.1")}
			for !stop.Load() {
				r.Reset(q.Subject)
				f.s.Add(&q, &r)
				if n, err := strconv.Atoi(strings.TrimPrefix(r.Value(enrich.ASN), "AS")); err != nil || n < 1 || n > 9 ||
					len(r.Parts()) != 1 || r.Network().String() != "10.0.0.0/8" {
					t.Errorf("answer %s", lines(&r))
					return
				}
				f.s.Status()
			}
		})
	}
	for n := 2; n <= 8; n += 2 {
		f.replace("a.mmdb", version(n))
		f.untilASN("AS" + strconv.Itoa(n))
		f.write("a.mmdb", []byte("broken"))
		f.untilRefused(0, "no MMDB file")
		f.write("a.mmdb", version(n+1))
		f.untilASN("AS" + strconv.Itoa(n+1))
	}
	stop.Store(true)
	wg.Wait()
}

func TestSourceOutlivesItsLogger(t *testing.T) {
	f := openFolder(t, "a.mmdb")
	core, logs := observer.New(zapcore.InfoLevel)
	f.s.SetLogger(zap.New(core))
	f.write("a.mmdb", version(1))
	f.untilASN("AS1")
	if logs.FilterMessage("database loaded").Len() != 1 || f.logged("database loaded") != 0 {
		t.Error("logged to the old logger")
	}
	f.s.SetLogger(nil)
	if err := f.s.Open(context.Background()); err != nil {
		t.Errorf("opened again: %v", err)
	}
	for range 2 {
		if err := f.s.Close(); err != nil {
			t.Error(err)
		}
	}
	if f.asn() != "AS1" {
		t.Error("a query that was under way at Close finds nothing")
	}
}

// TestRefreshNow reads again what looks unchanged, and says what does not serve.
func TestRefreshNow(t *testing.T) {
	f := openFolder(t, "a.mmdb")
	if err := f.s.RefreshNow(t.Context()); err == nil || !strings.Contains(err.Error(), "a.mmdb: no database there yet") || !f.s.Status().Data[0].Missing {
		t.Errorf("without a file: %v, %+v", err, f.s.Status())
	}
	f.replace("a.mmdb", version(1))
	if err := f.s.RefreshNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.s.Status()
	if err := f.s.RefreshNow(t.Context()); err != nil || f.s.Status().Generation != before.Generation+1 {
		t.Errorf("again: %v, %+v", err, f.s.Status())
	}
	f.replace("a.mmdb", []byte("no database"))
	if err := f.s.RefreshNow(t.Context()); err == nil || !strings.HasPrefix(err.Error(), f.path("a.mmdb")+": ") || f.s.Status().Records != before.Records {
		t.Errorf("with a bad file: %v, %+v", err, f.s.Status())
	}
}

// What was there from the start is no news, unless it was refused.
func TestNews(t *testing.T) {
	f := &folder{T: t, dir: t.TempDir()}
	f.write("a.mmdb", version(1))
	f.write("b.mmdb", []byte("no database"))
	var news []string
	f.s = New(Options{Patterns: []string{f.path("*.mmdb")}, News: func(d enrich.DataStatus) {
		news = append(news, fmt.Sprintf("%s %s %d %q while %s, last good: %t", filepath.Base(d.Path), d.Type, d.Records, d.Error, f.asn(), !d.Loaded.IsZero()))
	}})
	defer f.s.Close()
	f.s.reload()
	f.replace("a.mmdb", version(2))
	f.s.reload()
	f.replace("a.mmdb", version(2)[:100])
	f.s.reload()
	f.s.reload()
	want := []string{`b.mmdb  0 "`, `a.mmdb Test 2 "" while AS2, last good: true`, `a.mmdb Test 2 "`}
	if !slices.EqualFunc(news, want, strings.HasPrefix) || !strings.HasSuffix(news[0], `" while AS1, last good: false`) ||
		!strings.HasSuffix(news[2], `" while AS2, last good: true`) {
		t.Errorf("told\n%s", strings.Join(news, "\n"))
	}
}
