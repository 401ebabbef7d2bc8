package webhook

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const secret = "hmac-key"

// receiver answers with a status and what it was sent.
func receiver(status int, say string) (http.Handler, *[]*http.Request, *[]string) {
	var requests []*http.Request
	var bodies []string
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		requests, bodies = append(requests, r), append(bodies, string(b))
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, say)
	}), &requests, &bodies
}

func TestPost(t *testing.T) {
	h, requests, bodies := receiver(http.StatusNoContent, "")
	site := httptest.NewTLSServer(h)
	defer site.Close()
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	target := &Target{
		URL: site.URL + "/hook?token=abc", Method: http.MethodPut, Header: http.Header{"Authorization": {"Bearer xyz"}}, Secret: secret, Roots: roots,
	}
	if err := target.Post(t.Context(), []byte(`{"events":[]}`)); err != nil {
		t.Fatal(err)
	}
	r := (*requests)[0]
	// printf '{"events":[]}' | openssl dgst -sha256 -hmac hmac-key
	const signature = "sha256=0bee355c407fe39b33f8434d1dcca52c1d5d791c50ed42dfaaf19712c9593e1d"
	if r.Method != http.MethodPut || r.URL.String() != "/hook?token=abc" || (*bodies)[0] != `{"events":[]}` ||
		r.Header.Get("Authorization") != "Bearer xyz" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") != agent {
		t.Errorf("%s %s %s %v", r.Method, r.URL, (*bodies)[0], r.Header)
	}
	if got := r.Header.Get(SignatureHeader); got != signature {
		t.Errorf("%s: %s, want %s", SignatureHeader, got, signature)
	}
	if target.Header.Get(SignatureHeader) != "" {
		t.Error("the target was changed")
	}
	target.Roots = x509.NewCertPool()
	if err := target.Post(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") || len(*requests) != 1 {
		t.Errorf("a receiver with a certificate of its own: %v", err)
	}
}

// Errors say what happened, and nothing that is secret.
func TestErrors(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for _, tt := range []struct {
		name, want string
		handler    func() http.Handler
	}{
		{"error", "the receiver answers 500 Internal Server Error: no room for … from …, that is …", func() http.Handler {
			h, _, _ := receiver(http.StatusInternalServerError, "no room\n for /hook/T0PSECRET from Bearer xyz, that is xyz")
			return h
		}},
		{"redirection", "the receiver answers 302 Found", func() http.Handler { h, _, _ := receiver(http.StatusFound, ""); return h }},
		{"timeout", "context deadline exceeded", func() http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang })
		}},
		{"away", "connection refused", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := httptest.NewUnstartedServer(nil)
			if tt.handler != nil {
				site.Config.Handler = tt.handler()
			}
			site.Start()
			if tt.handler == nil {
				site.Close()
			} else {
				t.Cleanup(func() { site.CloseClientConnections() })
			}
			target := &Target{URL: site.URL + "/hook/T0PSECRET", Header: http.Header{"Authorization": {"Bearer xyz"}}, Secret: secret}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if tt.name != "timeout" {
				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
			}
			defer cancel()
			err := target.Post(ctx, []byte("{}"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			for _, s := range []string{"T0PSECRET", "xyz", secret} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("%q is in %v", s, err)
				}
			}
		})
	}
	if err := (&Target{URL: "http://x\x7f/T0PSECRET"}).Post(t.Context(), nil); err == nil || strings.Contains(err.Error(), "T0PSECRET") {
		t.Errorf("%v", err)
	}
}
