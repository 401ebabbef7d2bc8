package status

import (
	"encoding/json"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestCollect has three parts, of which one has nothing to say in this configuration.
func TestCollect(t *testing.T) {
	defer func(all []Section) { sections = all }(sections)
	sections = nil
	add := func(name string, ok bool, problems ...Problem) {
		Register(Section{name, func(_ caddy.Context, q Query) (Report, bool) {
			return Report{map[string]int{"of": len(name)}, problems}, ok
		}})
	}
	add("workers", true, Problem{Warning, "workers/b", "down"})
	add("absent", false, Problem{Error, "absent", "?"})
	add("chains", true)
	show := func() string {
		b, err := json.Marshal(Collect(caddy.Context{}, Query{}))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := `{"healthy":true,"problems":[{"level":"warning","where":"workers/b","text":"down"}],"chains":{"of":6},"workers":{"of":7}}`
	if got := show(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	sections = nil
	if got := show(); got != `{"healthy":true,"problems":[]}` {
		t.Errorf("of nothing: %s", got)
	}
	add("store", true, Problem{Error, "store", "full"})
	if sum := Collect(caddy.Context{}, Query{}); sum.Healthy {
		t.Error("healthy with an error")
	}
	defer func() {
		if recover() == nil {
			t.Error("a name was registered twice")
		}
	}()
	add("store", true)
}
