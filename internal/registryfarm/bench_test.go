package registryfarm_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/internal/registryfarm"
)

func TestManyRegistries(t *testing.T) {
	start := time.Now()
	f := registryfarm.New(t, registryfarm.Options{Registries: registryfarm.Many(200, registryfarm.Registry{RDAP: true, TLS: true, WHOIS: true})})
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("%s to start", d)
	}
	hosts := map[string]bool{}
	for i := range 200 {
		host, _, err := net.SplitHostPort(f.WHOISAddr(fmt.Sprintf("r%03d", i)))
		if err != nil {
			t.Fatal(err)
		}
		hosts[host] = true
	}
	if len(hosts) != 200 {
		t.Errorf("%d addresses", len(hosts)) // Linux has all of 127.0.0.0/8
	}
	if _, err := ask(t, f, rdap.DomainURL(f.RDAPURL("r199"), "tulip.t199")); err != nil {
		t.Error(err)
	}
}

func BenchmarkExpected(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		registryfarm.Expected("tulip7.t003")
	}
}

// What a query costs client and farm together: most of it is net/http's.
func BenchmarkQuery(b *testing.B) {
	f, err := registryfarm.Start(registryfarm.Options{
		Registries: registryfarm.Many(20, registryfarm.Registry{RDAP: true, TLS: true, WHOIS: true})})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var n atomic.Int64
	next := func() (registry, name string) {
		i := n.Add(1)
		registry = fmt.Sprintf("r%03d", i%20)
		return registry, "n" + strconv.FormatInt(i, 10) + ".t" + registry[1:]
	}
	b.Run("rdap", func(b *testing.B) {
		c := rdap.Client{HTTP: rdap.NewHTTPClient(nil, f.CertPool())}
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				registry, name := next()
				if _, err := c.Get(context.Background(), rdap.DomainURL(f.RDAPURL(registry), name)); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("whois", func(b *testing.B) {
		c := whoisclient.Client{Dial: new(net.Dialer).DialContext}
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				registry, name := next()
				s, _ := whoisclient.ParseServer(f.WHOISAddr(registry))
				if _, err := c.Ask(context.Background(), s, name); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
