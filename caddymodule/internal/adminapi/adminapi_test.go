package adminapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// statusOf is the status code that Caddy answers an error with, 200 for none.
func statusOf(err error) int {
	var api caddy.APIError
	if err == nil || !errors.As(err, &api) {
		return http.StatusOK
	}
	return api.HTTPStatus
}

func TestMethods(t *testing.T) {
	m := Methods{"GET": func(w http.ResponseWriter, _ *http.Request) error { return Reply(w, http.StatusAccepted, []int{1}) }, "DELETE": nil}
	for _, tt := range []struct {
		method string
		status int
		allow  string
		body   string
	}{
		{"GET", http.StatusAccepted, "", "[1]\n"},
		{"HEAD", http.StatusAccepted, "", "[1]\n"}, // the server leaves the body out
		{"OPTIONS", http.StatusNoContent, "DELETE, GET, HEAD, OPTIONS", ""},
		{"POST", http.StatusMethodNotAllowed, "DELETE, GET, HEAD, OPTIONS", ""},
	} {
		w := httptest.NewRecorder()
		err := m.ServeHTTP(w, httptest.NewRequest(tt.method, "/", nil))
		status := w.Code
		if err != nil {
			status = statusOf(err)
		}
		if status != tt.status || w.Header().Get("Allow") != tt.allow || w.Body.String() != tt.body {
			t.Errorf("%s: %d, %q, %q, %v", tt.method, status, w.Header().Get("Allow"), w.Body, err)
		}
	}
}

func TestQuery(t *testing.T) {
	type values struct {
		b    bool
		d    time.Duration
		n    int
		what What
	}
	for _, tt := range []struct {
		query string
		want  values
		fault string // of the first that is wrong
	}{
		{"name=x&b&d=2d&n=7", values{true, 48 * time.Hour, 7, What{Names: []string{"x"}}}, ""},
		{"all=true", values{false, time.Minute, 0, What{}}, ""},
		{"prefix=a.&b=0&d=0", values{false, 0, 0, What{Prefix: "a."}}, ""},
		{"name=x&name=y", values{false, time.Minute, 0, What{Names: []string{"x", "y"}}}, ""},
		{"prefx=a", values{}, `no parameter is named "prefx"; there are: b, d, n`},
		{"b=maybe", values{}, "b=maybe: neither true nor false"},
		{"d=soon", values{}, "d=soon: want a duration"},
		{"d=-1s", values{}, "d=-1s: want a duration"},
		{"d=4d", values{}, "d=4d: want at most 72h"},
		{"n=0", values{}, "n=0: want a number from 1 to 10"},
		{"n=11", values{}, "n=11: want a number from 1 to 10"},
		{"", values{}, "say what to forget"},
		{"all=false", values{}, "say what to forget"},
		{"prefix=", values{}, "say what to forget"},
		{"name=", values{}, "say what to forget"},
		{"name=x&prefix=", values{}, "say what to forget"},
		{"name=x&prefix=y", values{}, "say what to forget"},
		{"prefix=x&prefix=y", values{}, "say what to forget"},
		{"name=x&all", values{}, "say what to forget"},
		{"%zz", values{}, "invalid URL escape"},
	} {
		var got values
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = tt.query
		q, err := QueryOf(r, "b", "d", "n", "name", "prefix", "all")
		if err == nil {
			got.b, err = q.Bool("b")
		}
		if err == nil {
			got.d, err = q.Duration("d", time.Minute, 72*time.Hour)
		}
		if err == nil {
			got.n, err = q.Count("n", 10)
		}
		if err == nil {
			got.what, err = q.What()
		}
		if tt.fault == "" && (err != nil || !reflect.DeepEqual(got, tt.want)) {
			t.Errorf("%s: %+v, %v", tt.query, got, err)
		}
		if tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault) || statusOf(err) != http.StatusBadRequest) {
			t.Errorf("%s: %v (%d), want %s", tt.query, err, statusOf(err), tt.fault)
		}
	}
}

func TestBody(t *testing.T) {
	for n, want := range map[int]int{10: http.StatusOK, 11: http.StatusRequestEntityTooLarge} {
		b, err := Body(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", n))), 10)
		if statusOf(err) != want || err == nil && len(b) != n {
			t.Errorf("%d bytes: %d, %v", n, len(b), err)
		}
	}
}
