package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/mailtest"
	"github.com/whence-project/whence/internal/natstest"
)

// TestClusterOfWorkers has four workers look up a list of names, kills one of them, freezes another, kills NATS and starts it again: no
// name is lost, none is wrong, no registry is asked too often, and people are answered meanwhile.
func TestClusterOfWorkers(t *testing.T) {
	t.Parallel()
	names, registries, rate := 2000, 10, 20
	if soak() {
		names, registries, rate = 20_000, 20, 20
	}
	nats := natstest.Start(t, natstest.Options{})
	c := newCluster(t, registries, rate, 20*time.Millisecond, nats.URL)
	m := mailtest.New(t, mailtest.Options{User: "whence", Password: smtpPassword})
	all := c.names(names)
	c.startFront(all, func(s *server, config string) string {
		return strings.Replace(config, "\tenrich {", "\tnotify {\n\t\ton whence_worker_down whence_worker_up\n\t\t"+s.mailTo(m, quick...)+"\n\t}\n\tenrich {", 1)
	}, "workers only")
	c.startWorkers(4)
	began := time.Now()
	preload := c.front.command("whence", "preload", "--top", fmt.Sprint(names), "--format", "json", "--config", "Caddyfile")
	out := new(logLines)
	preload.Stdout, preload.Stderr = out, out
	if err := preload.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the workers work", func() bool { return c.done() > names/10 })
	if k := lookup(t, c.site, all[0]); k.field("registration") != "registered" {
		t.Errorf("%+v", k)
	}
	people := c.ask()

	at := time.Now()
	c.workers["w1"].kill()
	frozen := c.workers["w2"].cmd.Process
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer frozen.Signal(syscall.SIGCONT)
	killed, hung := c.noticed("w1", at), c.noticed("w2", at)
	t.Logf("noticed after %v (killed) and %v (frozen)", killed.Round(10*time.Millisecond), hung.Round(10*time.Millisecond))
	if killed > 5*time.Second || hung > 15*time.Second {
		t.Errorf("noticed after %v and %v", killed, hung)
	}
	body(t, m, "Lookup worker w1 is down")
	body(t, m, "Lookup worker w2 is down")
	if check := mustFetch(t, c.site, "/check"); !strings.Contains(check, `"name": "w1"`) || !strings.Contains(check, `"up": false`) {
		t.Errorf("/check: %s", check)
	}

	people.paused.Store(true)
	nats.Kill()
	eventually(t, "the front notices", func() bool { return strings.Contains(c.front.get("/whence/status"), "NATS is away since") })
	if health := c.front.get("/whence/health"); !strings.Contains(health, `"healthy":true`) {
		t.Errorf("without NATS: %s", health)
	}
	if k := lookup(t, c.site, all[0]); k.field("registration") != "registered" {
		t.Errorf("a known name without NATS: %+v", k)
	}
	nats.Restart()
	eventually(t, "NATS is back", func() bool { return strings.Contains(c.front.get("/whence/status"), `"connected":true`) })
	people.paused.Store(false)

	exited := make(chan error, 1)
	go func() { exited <- preload.Wait() }()
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("caddy whence preload: %v\n%s", err, out.tail(5))
		}
	case <-time.After(2*patience + time.Duration(names)*10*time.Millisecond):
		t.Fatalf("the list is not done:\n%s\n%s\n%s", out.tail(3), c.front.get("/whence/preload"), c.front.get("/whence/workers"))
	}
	took := time.Since(began)
	people.end()
	if p, ok := c.list(); !ok || p.State != "finished" || p.Names != names || p.Done != names || p.Failed != 0 || p.Workers["w3"] == 0 || p.Workers["w4"] == 0 {
		t.Errorf("%+v", p)
	}
	if last := out.tail(2); !strings.Contains(last, `"state":"finished"`) || !strings.Contains(last, `"workers":{"w`) {
		t.Errorf("caddy whence preload ends with %s", last)
	}
	for _, f := range people.failed {
		t.Errorf("a person is not answered: %s", f)
	}
	t.Logf("%d names in %v, %.0f/s, with a worker killed, one frozen, and NATS away for a moment; %d interactive lookups meanwhile, the worst %v",
		names, took.Round(100*time.Millisecond), float64(names)/took.Seconds(), len(people.asked), people.worst.Round(10*time.Millisecond))

	if err := frozen.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	body(t, m, "Lookup worker w2 is up again")
	metrics := c.front.get("/metrics")
	for _, want := range []string{`caddy_whence_workers{state="down"} 1`, `caddy_whence_workers{state="up"} 3`, "caddy_whence_nats_connected 1"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics: no %s", want)
		}
	}
	c.verify(append(all, people.asked...))
}

// TestClusterFirstContact has two fronts see the same names at the same time: each is new at one of them.
func TestClusterFirstContact(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.Options{})
	config := func(name string) string {
		return inCluster(globals("\tenrich {\n\t\tiana\n\t}"), name, nats.URL) + unixSite("site", "")
	}
	one, two := start(t, config("one")), start(t, config("two"))
	for _, s := range []*server{one, two} {
		eventually(t, "the shared store is there", func() bool { return strings.Contains(s.get("/whence/status"), `"synced":true`) })
	}
	var mu sync.Mutex
	first := make(map[string]int)
	var asking sync.WaitGroup
	for _, s := range []*server{one, two} {
		c := s.client("site")
		asking.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("tulip%d.com", i)
				_, body, err := fetch(c, "/"+name)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				if strings.Contains(body, "FIRST-CONTACT") {
					first[name]++
				} else if first[name] == 0 {
					first[name] = 0
				}
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	for name, n := range first {
		if n != 1 {
			t.Errorf("%s was a first contact %d times", name, n)
		}
	}
	if len(first) != 200 {
		t.Errorf("%d names", len(first))
	}
}

// TestClusterStartsWithoutNATS has a machine serve before there is NATS, and over reloads, and join when it comes.
func TestClusterStartsWithoutNATS(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.Options{})
	nats.Kill()
	config := func(name string) string {
		return inCluster(globals("\tenrich {\n\t\tiana\n\t}"), name, nats.URL) + unixSite("site", "")
	}
	began := time.Now()
	s := start(t, config("one"))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("started after %v", took)
	}
	c := s.client("site")
	if body := mustFetch(t, c, "/tulip.com"); !strings.Contains(body, "tulip.com") && !strings.Contains(body, "seen_by") {
		t.Errorf("without NATS: %s", body)
	}
	if err := s.load(config("one")); err != nil {
		t.Fatal(err)
	}
	if st := s.get("/whence/status"); !strings.Contains(st, `"healthy":true`) || !strings.Contains(st, `"where":"nats"`) {
		t.Errorf("status: %s", st)
	}
	if list := s.get("/whence/workers"); !strings.Contains(list, `"workers":[]`) {
		t.Errorf("workers: %s", list)
	}
	nats.Restart()
	eventually(t, "it joins", func() bool { return strings.Contains(s.get("/whence/status"), `"synced":true`) })
	if err := s.load(config("another")); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, 1, "a store that is open stays on its engine")
	if body := mustFetch(t, c, "/lily.com"); !strings.Contains(body, "FIRST-CONTACT") {
		t.Errorf("with NATS: %s", body)
	}
}

// TestClusterOfThreeServers has NATS be a cluster of three, one of which is lost in the middle.
func TestClusterOfThreeServers(t *testing.T) {
	if !soak() {
		t.Skip("a NATS of three servers: with WHENCE_SOAK=1")
	}
	servers := natstest.StartCluster(t, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	c := newCluster(t, 10, 20, 20*time.Millisecond, strings.Join(urls, " "), "replicas 3")
	all := c.names(3000)
	c.startFront(all, nil)
	c.startWorkers(4)
	eventually(t, "the shared store is there", func() bool { return strings.Contains(c.front.get("/whence/status"), `"synced":true`) })
	began := time.Now()
	if code, err := c.front.post("/whence/preload?top=3000"); err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %v", code, err)
	}
	people := c.ask()
	eventually(t, "the workers work", func() bool { return c.done() > 500 })
	servers[0].Kill()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if p, ok := c.list(); ok && p.State == "finished" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the list is not done: %s", c.front.get("/whence/preload"))
		}
	}
	people.end()
	for _, f := range people.failed {
		t.Errorf("a person is not answered: %s", f)
	}
	t.Logf("3000 names in %v with a server of NATS lost; %d interactive lookups, the worst %v", time.Since(began).Round(100*time.Millisecond),
		len(people.asked), people.worst.Round(10*time.Millisecond))
	c.verify(append(all, people.asked...))
}

// TestClusterWithoutWorkers has a front that asks registries itself where no worker is there, and one that must not.
func TestClusterWithoutWorkers(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.Options{})
	c := newCluster(t, 1, 100, 0, nats.URL)
	c.startFront(c.names(1), nil)
	c.front.log.wait(t, 1, `"file":"object-tags.json"`)
	eventually(t, "NATS is there", func() bool { return strings.Contains(c.front.get("/whence/status"), `"connected":true`) })
	if k := lookup(t, c.site, "tulip1.t000"); k.field("registration") != "registered" {
		t.Errorf("with workers first: %+v", k)
	}
	if err := c.front.load(c.config(c.front, "front", "workers only")); err != nil {
		t.Fatal(err)
	}
	c.site.CloseIdleConnections() // which the reload has closed
	eventually(t, "nobody is asked", func() bool {
		k := lookup(t, c.site, "tulip2.t000")
		return strings.Contains(k.note(), "no lookup worker can be reached")
	})
	if k := lookup(t, c.site, "tulip1.t000"); k.field("registration") != "registered" {
		t.Errorf("a known name with workers only: %+v", k)
	}
	if n := c.farm.Total().Queries; n != 1 {
		t.Errorf("the registry was asked %d times", n)
	}
	for _, bad := range []struct{ from, to, want string }{
		{"workers only", "worker\n\t\t\tworkers only", "exclude each other"},
		{"\tnats " + nats.URL + " {\n\t\tname front\n\t}\n", "", "needs the global option nats"},
	} {
		config := strings.Replace(c.config(c.front, "front", "workers only"), bad.from, bad.to, 1)
		if err := c.front.load(config); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%q for %q: %v, want %q", bad.to, bad.from, err, bad.want)
		}
	}
}
