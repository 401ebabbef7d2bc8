package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const secret = "s3cr3t-t0ken"

// get asks a server that answers with h, with a token in the URL, and holds the error, if there is one, against leaks.
func get(t *testing.T, h http.HandlerFunc, change ...func(*Request)) (*Response, string, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r := Request{URL: srv.URL + "/data.mmdb?token=" + secret, Header: http.Header{"Authorization": {"Bearer " + secret}}}
	for _, c := range change {
		c(&r)
	}
	var b bytes.Buffer
	resp, err := New(Options{Idle: 5 * time.Second}).Get(t.Context(), r, &b)
	if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "/data.mmdb")) {
		t.Errorf("the error shows the URL: %v", err)
	}
	return resp, b.String(), err
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestGet(t *testing.T) {
	resp, text, err := get(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secret || r.Header.Get("Accept-Encoding") != "" || r.Header.Get("If-None-Match") != "" {
			t.Errorf("%v", r.Header)
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		fmt.Fprint(w, "data")
	})
	want := Response{ETag: `"1"`, Modified: "Mon, 02 Jan 2006 15:04:05 GMT", Size: 4,
		SHA256: "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}
	if err != nil || text != "data" || *resp != want {
		t.Errorf("%+v, %q, %v", resp, text, err)
	}
}

func TestGetWhatIsNotModified(t *testing.T) {
	conditional := func(r *Request) { r.ETag, r.Modified = `"1"`, "Mon, 02 Jan 2006 15:04:05 GMT" }
	resp, text, err := get(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"1"` || r.Header.Get("If-Modified-Since") != "Mon, 02 Jan 2006 15:04:05 GMT" {
			t.Errorf("%v", r.Header)
		}
		w.WriteHeader(http.StatusNotModified)
	}, conditional)
	if err != nil || text != "" || !resp.NotModified || resp.ETag != `"1"` {
		t.Errorf("%+v, %q, %v", resp, text, err)
	}
	// 304 to a question without a condition is no answer.
	if _, _, err := get(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }); err == nil {
		t.Error("an unconditional 304 was taken")
	}
}

func TestGetProgress(t *testing.T) {
	var last string
	_, _, err := get(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "data") },
		func(r *Request) { r.Progress = func(done, total int64) { last = fmt.Sprint(done, "/", total) } })
	if err != nil || last != "4/4" {
		t.Errorf("%s, %v", last, err)
	}
}

// TestGetRefuses has servers misbehave in every way.
func TestGetRefuses(t *testing.T) {
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, text)
			if strings.Contains(text, "reset") {
				conn.(*net.TCPConn).SetLinger(0)
			}
		}
	}
	header := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			fmt.Fprint(w, "data")
		}
	}
	for _, tt := range []struct {
		name, want string
		h          http.HandlerFunc
	}{
		{"unauthorized", "401 Unauthorized: are the token", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusUnauthorized) }},
		{"missing", "404 Not Found", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusNotFound) }},
		{"throttled", "429 Too Many Requests, and asks to come back in 2m0s", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		{"a part", "206 Partial Content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) }},
		{"cut off", "the server ended after 4 of 9 bytes", raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata")},
		{"reset", "", raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nreset")},
		{"no HTTP", "malformed HTTP", raw("SSH-2.0-OpenSSH\r\n")},
		{"said to be large", "more than 100 bytes", header("Content-Length", "101")},
		{"endless", "more than 100 bytes", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, strings.Repeat("x", 64<<10))
			}
		}},
		{"digest", "its SHA-256 is not the one in the header", header("Content-Digest", "sha-256=:"+digestOf("other")+":")},
		{"representation's digest", "its SHA-256 is not", header("Repr-Digest", "md5=:eA==:, sha-256=:"+digestOf("other")+":")},
		{"old digest", "its SHA-256 is not", header("Digest", "md5=x, SHA-256="+digestOf("other"))},
		{"to nowhere", "redirects to nowhere", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) }},
		{"in circles", "more than 5 redirections", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }},
		{"to a file", "a redirection: not a URL of http or https", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := get(t, tt.h, func(r *Request) { r.Limit = 100 })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestGetChecksDigests(t *testing.T) {
	for name, value := range map[string]string{
		"Content-Digest": "sha-256=:" + digestOf("data") + ":, unixsum=:AQ==:", "Repr-Digest": "sha-256=:" + digestOf("data") + ":",
		"Digest": "SHA-256=" + digestOf("data"),
	} {
		_, text, err := get(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			fmt.Fprint(w, "data")
		})
		if err != nil || text != "data" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if len(digestsOf(http.Header{name: {value}})) != 1 {
			t.Errorf("%s is not read", name)
		}
	}
	if ds := digestsOf(http.Header{"Content-Digest": {"not a dictionary,,"}, "Digest": {"sha-256=!"}}); len(ds) != 0 {
		t.Errorf("%v of nothing", ds)
	}
}

// TestGetTellsNobodyElse redirects to another server, which must learn neither the token of the URL nor that of the header.
func TestGetTellsNobodyElse(t *testing.T) {
	heard := make(chan *http.Request, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r
		fmt.Fprint(w, "data")
	}))
	defer other.Close()
	_, text, err := get(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/data.mmdb" { // first to itself, which may know
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("the server itself hears %v", r.Header)
		}
		http.Redirect(w, r, "http://user:password@"+strings.TrimPrefix(other.URL, "http://")+"/there", http.StatusTemporaryRedirect)
	}, func(r *Request) { r.Header.Set("X-Key", secret) })
	if err != nil || text != "data" {
		t.Fatalf("%q, %v", text, err)
	}
	r := <-heard
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), secret) || name == "Referer" || name == "Authorization" {
			t.Errorf("another server hears %s: %v", name, values)
		}
	}
}

func TestGetStaysEncrypted(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked in clear text") }))
	defer plain.Close()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer srv.Close()
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	_, err := New(Options{Roots: roots}).Get(t.Context(), Request{URL: srv.URL}, new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("%v", err)
	}
	if _, err = New(Options{}).Get(t.Context(), Request{URL: srv.URL}, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server with a certificate that nobody trusts: %v", err)
	}
}

// TestGetIsPatientWithinBounds has servers that stop in the middle, and that drip for ever.
func TestGetIsPatientWithinBounds(t *testing.T) {
	stop := make(chan struct{})
	drip := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.URL.Path == "/drip" || i == 0; i++ {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			select {
			case <-time.After(5 * time.Millisecond):
			case <-stop:
				return
			}
		}
		<-stop
	}))
	defer drip.Close()
	defer close(stop)
	c := New(Options{Idle: 100 * time.Millisecond})
	if _, err := c.Get(t.Context(), Request{URL: drip.URL + "/stop"}, new(bytes.Buffer)); err == nil || err.Error() != "the server sent nothing for 100ms" {
		t.Errorf("a server that stops: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	var b bytes.Buffer
	if _, err := c.Get(ctx, Request{URL: drip.URL + "/drip"}, &b); err == nil || err.Error() != "it takes too long" || b.Len() < 2 {
		t.Errorf("a server that drips: %v after %d bytes", err, b.Len())
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, Request{URL: drip.URL + "/drip"}, &b); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that is given up: %v", err)
	}
}

func TestGetOfNoURL(t *testing.T) {
	for _, raw := range []string{"", "ftp://example.org/", "https://", "http://a b/", "://", "https://example.org/%zz?" + secret} {
		_, err := New(Options{}).Get(t.Context(), Request{URL: raw}, new(bytes.Buffer))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "60": time.Minute, "soon": 0, "-5": 0, "999999999": maxRetryAfter,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := statusError(&http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {value}}}, now).RetryAfter; got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestReasonShowsNoURL(t *testing.T) {
	inner := errors.New("no route")
	err := &url.Error{Op: "Get", URL: "https://x/?" + secret, Err: &url.Error{Op: "Get", URL: "https://y/?" + secret, Err: inner}}
	if got := reason(t.Context(), err); got != inner {
		t.Errorf("%v", got)
	}
}
