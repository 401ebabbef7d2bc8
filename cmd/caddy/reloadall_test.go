package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReloadAllDoors reloads while visitors ask at every door, also configurations that fail: nothing is lost, and nothing piles up.
// With WHENCE_SOAK set it reloads a hundred times, and not faster than every door is asked in between.
//
// The sockets of the site and of the admin endpoint are Caddy's own, and lose what docs/domain_stats.md says: a connection may be closed
// before its request is read, which the client then sends again. What is begun is answered there, too.
func TestReloadAllDoors(t *testing.T) {
	warm, reloads, between, least := 4, 12, int64(0), int64(30)
	if os.Getenv("WHENCE_SOAK") != "" {
		warm, reloads, between, least = 20, 100, 10, 1000
	}
	h := newHouse(t)
	h.open()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := newCrowd(append(h.visitors(), h.visitors()...))
	n := 0
	reload := func() {
		n++
		before := c.least()
		if n%4 == 0 {
			if err := h.load(h.broken(n, taken.Addr().String())); err == nil || !strings.Contains(err.Error(), "in use") {
				t.Fatalf("a configuration that binds an address that is taken: %v", err)
			}
		}
		if err := h.load(h.config(n)); err != nil { // also since Caddy keeps some of those that failed until it has loaded one
			t.Fatal(err)
		}
		eventually(t, "every door is asked between reloads", func() bool { return c.least() >= before+between })
	}
	c.begin()
	for range warm {
		reload()
	}
	c.rest()
	before := h.holdings()
	c.begin()
	for range reloads {
		reload()
	}
	eventually(t, "every door was asked", func() bool { return c.least() >= least })
	c.rest()
	h.checkFlat(t, before)
	c.report(t, n)
}

// report tells what was seen at each door, and fails the test if anything was lost.
func (c *crowd) report(t *testing.T, reloads int) {
	t.Helper()
	for _, door := range slices.Sorted(maps.Keys(c.doors)) {
		seen := c.doors[door]
		t.Logf("%-46s %6d requests, %d of them cut", door, seen.asked.Load(), seen.cut.Load())
		if lost := seen.failed.Load(); lost > 0 {
			t.Errorf("%s: %d of %d requests lost over %d reloads; the first: %s", door, lost, seen.asked.Load(), reloads, *seen.first.Load())
		}
	}
}

// TestReloadOfSites measures, with WHENCE_SOAK set, what reloads cut of connections to Caddy's own HTTP sockets of each kind, with
// domain_stats and with Caddy's own respond: the figures in docs/domain_stats.md.
func TestReloadOfSites(t *testing.T) {
	if os.Getenv("WHENCE_SOAK") == "" {
		t.Skip("a measurement; set WHENCE_SOAK")
	}
	h := newHouse(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // Caddy is to open it itself, as nothing else can beside it
	port := ln.Addr().(*net.TCPAddr).Port
	const handlers = "\thandle /respond {\n\t\trespond ok\n\t}\n\thandle {\n\t\tdomain_stats\n\t}\n}\n"
	config := globals("") + "http:// {\n\tbind fd/3\n" + handlers + "http:// {\n\tbind unix/{$WHENCE_TEST_SITE}\n" + handlers +
		fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n", port) + handlers
	h.start(config)
	var visitors []visitor
	for _, r := range []request{getDomain, get("respond", "/respond", "ok")} {
		for _, keep := range []bool{true, false} {
			for _, at := range [][3]string{{"a unix socket", "unix", h.path("site.sock")}, {"fd/3", "tcp", h.site}, {"TCP", "tcp", ln.Addr().String()}} {
				v := h.httpVisitor(r, at[1], at[2], keep)
				v.door = r.name + " over " + at[0] + kept(keep)
				visitors = append(visitors, v)
			}
		}
	}
	const reloads = 200
	c := newCrowd(visitors)
	c.begin()
	for range reloads {
		before := c.least()
		if err := h.load(config); err != nil {
			t.Fatal(err)
		}
		eventually(t, "every door is asked between reloads", func() bool { return c.least() >= before+5 })
	}
	c.rest()
	c.report(t, reloads)
}
