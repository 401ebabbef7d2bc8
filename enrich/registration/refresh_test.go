package registration

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich/registration/bootstrap"
)

// TestRefreshNow fetches the files of registries when it is told to.
func TestRefreshNow(t *testing.T) {
	asked := make(chan string, 100)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		http.Error(w, "not today", http.StatusServiceUnavailable)
	}))
	defer files.Close()
	s, _ := newSource(t, Options{Bootstrap: bootstrap.New(bootstrap.Options{URL: files.URL, Compiled: true})})
	err := s.RefreshNow(t.Context())
	if err == nil || !strings.Contains(err.Error(), "dns.json: the server answers 503") || len(asked) != 5 {
		t.Errorf("%v, asked %d times", err, len(asked))
	}
	if p := s.Status().Problems; len(p) != 5 || !strings.Contains(p[0].Text, "dns.json: the server answers 503") {
		t.Errorf("problems %v", p)
	}
	if s, _ := newSource(t, Options{}); s.RefreshNow(t.Context()) != ErrNoRegistries {
		t.Error("files that there are none of were refreshed")
	}
}
