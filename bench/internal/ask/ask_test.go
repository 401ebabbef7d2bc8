package ask

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// serve answers /echo/X with X, /missing with 404, /crowd when want requests for it are there, and lists line by line.
func serve(t *testing.T, want int) netip.AddrPort {
	t.Helper()
	var here sync.WaitGroup
	here.Add(want)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /echo/{name}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("name")) })
	mux.HandleFunc("GET /crowd", func(http.ResponseWriter, *http.Request) { here.Done(); here.Wait() })
	mux.HandleFunc("POST /list", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintln(w, "about", lines.Text())
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))
}

func same(name string, body []byte) error {
	if string(body) != name {
		return fmt.Errorf("%s: %q", name, body)
	}
	return nil
}

func TestAll(t *testing.T) {
	addr := serve(t, 0)
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprint("name", i)
	}
	var mu sync.Mutex
	seen := make(map[string]int)
	n, err := All(addr, 8, "/echo/", Each(names), func(name string, body []byte) error {
		mu.Lock()
		defer mu.Unlock()
		seen[name]++
		return same(name, body)
	})
	if n != len(names) || len(seen) != len(names) || err != nil {
		t.Errorf("%d answers about %d names (%v)", n, len(seen), err)
	}
	if n, err := All(addr, 2, "/missing/", Each(names), same); n != 0 || err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%d answers where there are none (%v)", n, err)
	}
	wrong := errors.New("wrong")
	if _, err := All(addr, 2, "/echo/", Each(names), func(string, []byte) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("wrong answers pass (%v)", err)
	}
	if _, err := All(netip.MustParseAddrPort("127.0.0.1:1"), 2, "/", Each(names), same); err == nil {
		t.Error("no error where nobody listens")
	}
}

func TestCrowd(t *testing.T) {
	addr := serve(t, 50)
	answers := 0
	elapsed, sent, err := Crowd(addr, 50, "/crowd", func(body []byte) error { answers++; return same("", body) })
	if err != nil || answers != 50 || sent <= 0 || elapsed < sent {
		t.Errorf("%d answers in %v, sent in %v (%v)", answers, elapsed, sent, err)
	}
	if _, _, err := Crowd(addr, 3, "/missing", func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "connection 1") {
		t.Errorf("a missing page passes (%v)", err)
	}
}

func TestList(t *testing.T) {
	addr := serve(t, 0)
	list := strings.Repeat("a.example\nb.example\n", 20_000) // more than the sockets hold
	var got []byte
	elapsed, err := List(addr, "/list", []byte(list), func(r io.Reader) (err error) { got, err = io.ReadAll(r); return err })
	if want := strings.Repeat("about a.example\nabout b.example\n", 20_000); err != nil || elapsed <= 0 || string(got) != want {
		t.Errorf("%d bytes in %v (%v), want %d", len(got), elapsed, err, len(want))
	}
	if _, err := List(addr, "/missing", nil, nil); err == nil {
		t.Error("a missing page passes")
	}
}
