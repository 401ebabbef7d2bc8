package bootstrap

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// Files are asked for when they are a day old, and sooner after a failure, and never in step.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder()
		core, logs := observer.New(zap.WarnLevel)
		b := New(Options{URL: "http://rdap.test/", HTTP: &http.Client{Transport: f}, Logger: zap.New(core)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Run(ctx) }()
		synctest.Wait()
		if f.take() != allNew {
			t.Error("nothing to answer from, and yet waiting")
		}
		waits := map[time.Duration]bool{}
		for range 5 {
			began := time.Now()
			for f.take() == "" {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			waited := time.Since(began)
			if waits[waited] = true; waited < 21*time.Hour || waited > 27*time.Hour {
				t.Errorf("asked after %s", waited)
			}
		}
		if len(waits) < 2 {
			t.Errorf("in step: %v", waits)
		}

		f.set("dns.json", "")
		for f.take() == "" {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		most := backOff
		for range 15 {
			began := time.Now()
			for f.take() == "" {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			if waited := time.Since(began); waited > most+time.Second {
				t.Errorf("tried after %s, want at most %s", waited, most)
			}
			most = min(2*most, DefaultEvery)
		}
		if n := logs.Len(); n != 16 || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["error"]), "dns.json: the server answers 500") {
			t.Errorf("%d lines, %+v", n, logs.All()[0])
		}
		if b.Domain("example.com").RDAP == nil {
			t.Error("nobody is known any more")
		}
		cancel()
		<-done
	})
}

func TestWaits(t *testing.T) {
	for range 1000 {
		if d := spread(100 * time.Second); d < 90*time.Second || d > 110*time.Second {
			t.Fatalf("spread %s", d)
		}
		for failures, most := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 5: 16 * time.Minute, 100: time.Hour} {
			if d := retryAfter(failures, time.Hour); d < leastWait || d > most {
				t.Fatalf("after %d failures %s", failures, d)
			}
		}
	}
	b := New(Options{Compiled: true, URL: "http://rdap.test/", Now: at(t0)})
	if d := b.firstWait(); d < 0 || d > startWithin {
		t.Errorf("first after %s", d)
	}
	for i := range files {
		b.held[i] = held{registry: new(registry), checked: t0.Add(1000 * time.Hour)}
	}
	if d := b.firstWait(); d > 27*time.Hour {
		t.Errorf("with files of the future after %s", d)
	}
}
