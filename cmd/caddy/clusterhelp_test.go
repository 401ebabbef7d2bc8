package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/registryfarm"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/bus"
	"github.com/whence-project/whence/store/natsstore"
)

// soak reports that there is time for the long form of a test.
func soak() bool { return os.Getenv("WHENCE_SOAK") != "" }

// inCluster is a configuration with a connection to NATS and the shared store on it.
func inCluster(config, name, urls string, lines ...string) string {
	lines = append([]string{"name " + name}, lines...)
	return strings.Replace(config, "\tenrich {",
		"\tnats "+urls+" {\n\t\t"+strings.Join(lines, "\n\t\t")+"\n\t}\n\tstore nats\n\tenrich {", 1)
}

// cluster is a front and workers that ask a farm of registries.
type cluster struct {
	t          *testing.T
	farm       *registryfarm.Farm
	registries []registryfarm.Registry
	urls       string
	nats       []string // more lines of the option
	rate       int      // a second, of one address at one registry
	front      *server
	site       *http.Client
	workers    map[string]*server
}

func newCluster(t *testing.T, registries, rate int, latency time.Duration, urls string, nats ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, urls: urls, nats: nats, rate: rate, workers: make(map[string]*server)}
	c.registries = registryfarm.Many(registries, registryfarm.Registry{RDAP: true, Latency: latency, Limit: registryfarm.PerAddress(rate, time.Second)})
	for i := range c.registries {
		c.registries[i].Limit.Slack = 100 * time.Millisecond // of a busy machine
	}
	c.farm = registryfarm.New(t, registryfarm.Options{Registries: c.registries})
	return c
}

// names are n names at the cluster's registries.
func (c *cluster) names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("tulip%d.t%03d", i, i%len(c.registries))
	}
	return list
}

// config is that of a machine, with lines in the block of its source.
func (c *cluster) config(s *server, name string, options ...string) string {
	options = append([]string{fmt.Sprintf("limit default %d/s per 32 64", c.rate)}, options...)
	return inCluster(withRegistries(s, c.farm, c.registries, options...), name, c.urls, c.nats...)
}

// startFront starts the machine that is asked, with names to preload; change changes its configuration.
func (c *cluster) startFront(names []string, change func(s *server, config string) string, options ...string) {
	c.t.Helper()
	s := newServer(c.t)
	var top strings.Builder
	for i, name := range names {
		fmt.Fprintf(&top, "%d,%s\n", i+1, name)
	}
	s.write("top.csv", top.String()+"\n")
	config := c.config(s, "front", options...)
	if change != nil {
		config = change(s, config)
	}
	s.start(config)
	c.front, c.site = s, s.client("site")
}

// startWorkers starts n workers with addresses of their own: w1 asks from 127.0.1.1.
func (c *cluster) startWorkers(n int) {
	c.t.Helper()
	for i := 1; i <= n; i++ {
		s := newServer(c.t)
		s.write("top.csv", "1,example.com\n")
		name := fmt.Sprintf("w%d", i)
		s.start(c.config(s, name, "worker", fmt.Sprintf("source 127.0.1.%d", i)))
		c.workers[name] = s
	}
	eventually(c.t, "all workers are there", func() bool { return len(c.up()) == n })
}

// up are the workers that the front takes for up.
func (c *cluster) up() (names []string) {
	for _, w := range c.listed() {
		if w.Up {
			names = append(names, w.Name)
		}
	}
	return names
}

type listedWorker struct {
	Name  string
	Up    bool
	Done  int
	Since time.Time
}

func (c *cluster) listed() []listedWorker {
	var st struct{ Workers []listedWorker }
	body := c.front.get("/whence/workers")
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		c.t.Fatalf("%v: %s", err, body)
	}
	return st.Workers
}

// list is how far the list of names is, as the front tells it; ok is false where it cannot.
func (c *cluster) list() (p clusterProgress, ok bool) {
	var all []clusterProgress
	if err := json.Unmarshal([]byte(c.front.get("/whence/preload")), &all); err != nil || len(all) == 0 {
		return p, false
	}
	return all[0], true
}

type clusterProgress struct {
	State               string
	Names, Done, Failed int
	Workers             map[string]int
}

func (c *cluster) done() int {
	p, _ := c.list()
	return p.Done
}

// noticed waits until the front takes a worker for down, and returns how long that took.
func (c *cluster) noticed(worker string, began time.Time) time.Duration {
	c.t.Helper()
	eventually(c.t, worker+" is down", func() bool { return !slices.Contains(c.up(), worker) })
	return time.Since(began)
}

// interactive asks for new names, one after the other, as people do, until it is stopped.
type interactive struct {
	asked  []string
	worst  time.Duration
	failed []string
	stop   chan struct{}
	done   sync.WaitGroup
	paused atomic.Bool // NATS is away: nothing new is expected
}

func (c *cluster) ask() *interactive {
	a := &interactive{stop: make(chan struct{})}
	a.done.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-a.stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if a.paused.Load() {
				continue
			}
			name := fmt.Sprintf("person%d.t%03d", i, i%len(c.registries))
			began := time.Now()
			_, body, err := fetch(c.site, "/v1/lookup/"+name+"?wait=30s")
			a.worst = max(a.worst, time.Since(began))
			want, _, _ := c.farm.Expected(name)
			if a.asked = append(a.asked, name); err != nil || !strings.Contains(body, `"created":"`+want.Created.Format(time.RFC3339)+`"`) {
				a.failed = append(a.failed, fmt.Sprintf("%s: %v %s", name, err, body))
			}
		}
	})
	return a
}

func (a *interactive) end() {
	close(a.stop)
	a.done.Wait()
}

// verify asks the front for all names at once, with the registries gone: none may be lost, none be wrong.
func (c *cluster) verify(names []string) {
	c.t.Helper()
	asked, _ := c.farm.AllQueries()
	twice := 0
	for _, n := range asked {
		twice += n - 1
	}
	if v := c.farm.Violations(); len(v) > 0 {
		c.t.Errorf("%d queries over a limit, the first: %+v", len(v), v[0])
	}
	c.farm.Close()
	resp, err := c.site.Post("http://localhost/v1/lookup?wait=20s", "text/plain", strings.NewReader(strings.Join(names, "\n")+"\n"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var missing []string
	wrong := 0
	in := json.NewDecoder(resp.Body)
	for _, name := range names {
		k := new(known)
		if err := in.Decode(k); err != nil {
			c.t.Fatalf("%s: %v", name, err)
		}
		want, _, _ := c.farm.Expected(name)
		switch {
		case k.field("registration") != "registered":
			missing = append(missing, name)
		case k.Created != want.Created.Format(time.RFC3339) || k.Registrar != want.Registrar:
			wrong++
		}
	}
	lost := c.lost(missing)
	if lost+wrong > 0 {
		c.t.Errorf("of %d names %d are lost and %d wrong", len(names), lost, wrong)
	}
	c.t.Logf("%d names: %d lost, %d wrong, %d not at hand at once; %d queries, %d of them a second time", len(names), lost, wrong, len(missing),
		len(asked)+twice, twice)
}

// lost are those of the names that are not in the shared cache. A machine does not wait for long for that: where NATS is slow for a
// moment, it would ask the registry.
func (c *cluster) lost(names []string) (lost int) {
	c.t.Helper()
	if len(names) == 0 {
		return 0
	}
	var st struct {
		Cache struct{ Buckets []struct{ Bucket string } }
	}
	body := c.front.get("/whence/store")
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		c.t.Fatalf("%v: %s", err, body)
	}
	bucket := ""
	for _, b := range st.Cache.Buckets {
		if strings.HasPrefix(b.Bucket, "registration-") && !strings.Contains(b.Bucket, ".") && !strings.HasSuffix(b.Bucket, "raw") {
			bucket = b.Bucket
		}
	}
	b, err := bus.Open(bus.Options{URLs: strings.Fields(c.urls)})
	if err != nil {
		c.t.Fatal(err)
	}
	defer b.Close()
	s, err := natsstore.Open(c.t.TempDir(), b, natsstore.Options{Wait: patience})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	if err := s.WaitSynced(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range names {
		if _, _, ok := s.Cache().(store.Shared).Fetch(c.t.Context(), bucket, name); !ok {
			c.t.Logf("%s is not in the cache's bucket %q", name, bucket)
			lost++
		}
	}
	return lost
}

// post posts nothing to the admin endpoint.
func (s *server) post(path string) (int, error) {
	s.t.Helper()
	resp, err := s.http.Post("http://localhost"+path, "", nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
