package domainstats

import (
	"net/http"
	"strings"
	"testing"
)

// TestCheck has workers be listed where there are any, and the word be a name where there are none.
func TestCheck(t *testing.T) {
	var list []Worker
	a := newAPI(t, func(o *Options) { o.Workers = func() []Worker { return list } })
	if _, body, _ := do(t, a, request("GET", "/check", nil)); strings.Contains(string(body), "workers") {
		t.Errorf("without workers: %s", body)
	}
	list = []Worker{{Name: "w1", Up: true, Rate: 12.5, Success: 1}, {Name: "w2"}}
	status, body, h := do(t, a, request("GET", "/check", nil))
	if want := `"name": "w1",`; status != http.StatusOK || h.Get("Content-Type") != typeJSON || !strings.Contains(string(body), want) ||
		!strings.Contains(string(body), `"rate": 12.5`) || !strings.Contains(string(body), `"up": false`) {
		t.Errorf("%d %s", status, body)
	}
}
