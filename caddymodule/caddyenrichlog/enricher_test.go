package caddyenrichlog

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	_ "github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/golden"
	"github.com/whence-project/whence/enrich"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }

func init() { caddy.RegisterModule(new(talker)) }

// talker is a source that says the same of every address, and logs that it was asked.
type talker struct{}

var (
	talks atomic.Pointer[zap.Logger] // nil: it is silent
	asks  atomic.Int64
)

func (*talker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.talker", New: func() caddy.Module { return new(talker) }}
}

func (*talker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (*talker) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	asks.Add(1)
	if l := talks.Load(); l != nil {
		l.Info("asked", zap.String("client_ip", "192.0.2.77"))
		l.With(zap.String("client_ip", "192.0.2.78")).Info("asked")
	}
	if q.Subject.Kind() == enrich.Address {
		r.Set("asn", "AS64496")
		r.Set("tag", "a", "b")
		r.Set("rank", "17")
	}
	if q.Subject.Kind() == enrich.Domain {
		r.Set("asn", "AS64497")
	}
	return enrich.Next
}

// run runs the configuration until the test ends.
func run(t *testing.T, chains string) {
	t.Helper()
	load(t, chains)
	t.Cleanup(func() { caddy.Stop() })
}

func load(t *testing.T, chains string) {
	t.Helper()
	if !strings.Contains(chains, "log {") {
		chains += "\tlog {\n\t\toutput discard\n\t}\n"
	}
	config := "{\n\tadmin off\n\tpersist_config off\n" + chains + "}\n"
	b, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(b, true); err != nil {
		t.Fatal(err)
	}
}

const talkers = "\tenrich {\n\t\ttalker\n\t}\n"

// encoder is the format that a Caddyfile's lines describe.
func encoder(t testing.TB, module string, lines string) zapcore.Encoder {
	t.Helper()
	name := module[strings.LastIndexByte(module, '.')+1:]
	d := caddyfile.NewTestDispenser(name + " {\n" + lines + "\n}")
	d.Next()
	u, err := caddyfile.UnmarshalModule(d, module)
	if err != nil {
		t.Fatal(err)
	}
	raw := caddyconfig.JSONModuleObject(u, "format", name, nil)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	mod, err := ctx.LoadModule(&struct {
		Raw json.RawMessage `caddy:"namespace=caddy.logging.encoders inline_key=format"`
	}{raw}, "Raw")
	if err != nil {
		t.Fatal(err)
	}
	return mod.(zapcore.Encoder)
}

// lines is where loggers write.
type lines struct {
	mu sync.Mutex
	b  []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, string(b))
	return len(b), nil
}

// take are the fields of the lines, which are taken away.
func (l *lines) take(t testing.TB) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.b {
		m := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, key := range []string{"level", "ts", "msg", "logger"} {
			delete(m, key)
		}
		all = append(all, m)
	}
	l.b = nil
	return all
}

func logger(enc zapcore.Encoder) (*zap.Logger, *lines) {
	out := new(lines)
	return zap.New(zapcore.NewCore(enc, zapcore.AddSync(out), zap.InfoLevel)), out
}

// request is an object as Caddy's access log has it.
func request(ip, host string) zap.Field {
	return zap.Object("request", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
		enc.AddString("client_ip", ip)
		enc.AddString("host", host)
		return enc.AddObject("headers", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
			enc.AddString("client_ip", ip)
			return enc.AddArray("X", zapcore.ArrayMarshalerFunc(func(enc zapcore.ArrayEncoder) error {
				return enc.AppendObject(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
					enc.AddString("client_ip", ip)
					return nil
				}))
			}))
		}))
	}))
}

const module = "caddy.logging.encoders."

func TestEncoder(t *testing.T) {
	run(t, talkers)
	headers := `"headers":{"client_ip":"192.0.2.1","X":[{"client_ip":"192.0.2.1"}]}`
	filtered := "\nfields {\nrequest>client_ip enrich asn\n}"
	for _, tt := range []struct {
		name, module, lines string
		fields              []zap.Field
		want                string
	}{
		{"the client", module + "enrich", "", []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_asn":"AS64496","host":"example.org",` + headers + `}}`},
		{"chosen fields", module + "enrich", "add rank tag registrar", []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_rank":17,"client_ip_tag":["a","b"],"host":"example.org",` + headers + `}}`},
		{"host too, as objects", module + "enrich", "fields request>client_ip request>host\nobject", []zap.Field{request("192.0.2.1", "example.org:443")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_enrich":{"asn":"AS64496"},"host":"example.org:443","host_enrich":{"asn":"AS64497"},` + headers + `}}`},
		{"objects of that name", module + "enrich", "object .whence", []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip.whence":{"asn":"AS64496"},"host":"example.org",` + headers + `}}`},
		{"what cannot be read", module + "enrich", "", []zap.Field{request("no address", "")},
			`{"request":{"client_ip":"no address","host":"",` + strings.ReplaceAll(headers, "192.0.2.1", "no address") + `}}`},
		{"nothing known", module + "enrich", "object\nadd registrar", []zap.Field{request("192.0.2.1", "")},
			`{"request":{"client_ip":"192.0.2.1","host":"",` + headers + `}}`},
		{"at the top", module + "enrich", "fields client query", []zap.Field{zap.String("client", "192.0.2.1"), zap.ByteString("query", []byte("example.org")), zap.Int("n", 1)},
			`{"client":"192.0.2.1","client_asn":"AS64496","query":"example.org","query_asn":"AS64497","n":1}`},
		{"in a namespace", module + "enrich", "fields a>client", []zap.Field{zap.String("client", "192.0.2.2"), zap.Namespace("a"), zap.String("client", "192.0.2.1")},
			`{"client":"192.0.2.2","a":{"client":"192.0.2.1","client_asn":"AS64496"}}`},
		{"inline", module + "enrich", "fields client", []zap.Field{zap.Inline(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
			enc.AddString("client", "192.0.2.1")
			return nil
		}))}, `{"client":"192.0.2.1","client_asn":"AS64496"}`},
		{"none of its fields", module + "enrich", "", []zap.Field{zap.String("client_ip", "192.0.2.1")}, `{"client_ip":"192.0.2.1"}`},
		{"a filter", module + "filter", filtered, []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_asn":"AS64496","host":"example.org",` + headers + `}}`},
		{"a filter, as an object", module + "filter", "request>client_ip enrich {\nadd asn\nobject _of\n}", []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_of":{"asn":"AS64496"},"host":"example.org",` + headers + `}}`},
		{"a filter of what is no text", module + "filter", "n enrich", []zap.Field{zap.Int("n", 1)}, `{"n":1}`},
		{"around a filter", module + "enrich", "wrap filter {\nrequest>headers delete\nrequest>client_ip_asn delete\n}\nadd asn rank", []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_rank":17,"host":"example.org"}}`},
		{"in a filter", module + "filter", "wrap enrich {\nfields request>client_ip client_ip\n}\nrequest>host delete", []zap.Field{request("192.0.2.1", "example.org")},
			`{"request":{"client_ip":"192.0.2.1","client_ip_asn":"AS64496",` + headers + `}}`},
	} {
		for _, with := range []bool{false, true} {
			log, out := logger(encoder(t, tt.module, tt.lines))
			if with {
				log.WithLazy(tt.fields...).Info("x")
			} else {
				log.Info("x", tt.fields...)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			got := out.take(t)
			if len(got) != 1 || !equal(got[0], want) {
				t.Errorf("%s, with %v:\n%v, want\n%v", tt.name, with, got, want)
			}
		}
	}
}

func equal(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// TestSourceThatLogs is a chain whose sources write entries while they are asked for one, over the same encoder.
func TestSourceThatLogs(t *testing.T) {
	run(t, talkers)
	log, out := logger(encoder(t, module+"enrich", "fields client_ip"))
	talks.Store(log)
	defer talks.Store(nil)
	var wg sync.WaitGroup
	asks.Store(0)
	for range 8 {
		wg.Go(func() {
			for range 100 {
				log.Info("first", zap.String("client_ip", "192.0.2.1"))
			}
		})
	}
	wg.Wait()
	if n := asks.Load(); n != 800 {
		t.Errorf("the source was asked %d times for 800 entries", n)
	}
	enriched := make(map[string]int)
	for _, m := range out.take(t) {
		key := m["client_ip"].(string)
		if _, ok := m["client_ip_asn"]; ok {
			key += "+"
		}
		enriched[key]++
	}
	if want := (map[string]int{"192.0.2.1+": 800, "192.0.2.77": 800, "192.0.2.78": 800}); !maps.Equal(enriched, want) {
		t.Errorf("entries %v, want %v", enriched, want)
	}
}

// TestChainComesAndGoes holds that entries are written before there is a chain, over reloads, and after.
func TestChainComesAndGoes(t *testing.T) {
	log, out := logger(encoder(t, module+"enrich", "fields ip\nchain lan"))
	enriched := func() bool {
		t.Helper()
		log.Info("x", zap.String("ip", "192.0.2.1"))
		m := out.take(t)
		if len(m) != 1 || m[0]["ip"] != "192.0.2.1" {
			t.Fatalf("entries %v", m)
		}
		return m[0]["ip_asn"] == "AS64496"
	}
	t.Cleanup(func() { caddy.Stop() })
	lan := strings.Replace(talkers, "enrich", "enrich lan", 1)
	for _, step := range []struct {
		do   func()
		want bool
	}{
		{func() {}, false},
		{func() { load(t, "") }, false},      // no app
		{func() { load(t, talkers) }, false}, // no such chain
		{func() { load(t, lan) }, true},
		{func() { load(t, lan) }, true},
		{func() {
			caddy.Load([]byte(`{"apps":{"enrich":{"chains":{"lan":{"sources":[{"source":"nothing"}]}}}}}`), true)
		}, true}, // refused
		{func() { load(t, talkers) }, false},
		{func() { load(t, lan) }, true},
		{func() { caddy.Stop() }, false},
	} {
		step.do()
		if got := enriched(); got != step.want {
			t.Errorf("enriched: %v", got)
		}
	}
}

// TestMissingChain holds that it is said, and once.
func TestMissingChain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	run(t, talkers+"\tlog {\n\t\toutput file "+file+"\n\t\tformat json\n\t}\n")
	log, _ := logger(encoder(t, module+"enrich", "fields ip\nchain nowhere"))
	for range 3 {
		log.Info("x", zap.String("ip", "192.0.2.1"))
	}
	said := func() int {
		b, _ := os.ReadFile(file)
		return strings.Count(string(b), `"chain":"nowhere"`)
	}
	for deadline := time.Now().Add(30 * time.Second); said() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was said")
		}
	}
	caddy.Stop()
	if n := said(); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}

// TestReloadWhileLogging has entries written while configurations come and go.
func TestReloadWhileLogging(t *testing.T) {
	run(t, talkers)
	log, out := logger(encoder(t, module+"enrich", "fields ip"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					log.Info("x", zap.String("ip", "192.0.2.1"))
				}
			}
		})
	}
	for range 20 {
		load(t, talkers)
	}
	close(stop)
	wg.Wait()
	if i := slices.IndexFunc(out.take(t), func(m map[string]any) bool { return m["ip_asn"] != "AS64496" }); i >= 0 {
		t.Errorf("entry %d was not enriched", i)
	}
}

func BenchmarkEncoder(b *testing.B) {
	for _, bm := range []struct{ name, module string }{{"json", ""}, {"enrich", module + "enrich"}, {"filter", module + "filter"}} {
		b.Run(bm.name, func(b *testing.B) {
			var enc zapcore.Encoder = zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
			switch {
			case strings.HasSuffix(bm.module, "filter"):
				enc = encoder(b, bm.module, "request>client_ip enrich")
			case bm.module != "":
				enc = encoder(b, bm.module, "")
			}
			log := zap.New(zapcore.NewCore(enc, zapcore.AddSync(discard{}), zap.InfoLevel))
			b.ReportAllocs()
			for b.Loop() {
				log.WithLazy(request("192.0.2.1", "example.org")).Info("handled request", zap.Int("status", 200))
			}
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

var _ logging.LogFieldFilter = (*Filter)(nil)
