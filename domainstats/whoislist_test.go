package domainstats

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A list is answered with a line for each name, in its order, whatever comes first.
func TestWhoisList(t *testing.T) {
	a := newWhoisAPI(t)
	for _, query := range []string{
		"domain_list=sans.org;free.com;;192.0.2.1;%20kept.com%20;sans.org:127.0.0.1;m%C3%BCller.de",
		"x=%zz&domain_list=sans.org%3Bfree.com&domain_list=192.0.2.1;kept.com;sans.org:127.0.0.1;xn--mller-kva.de;",
	} {
		status, body, h := do(t, a, request("GET", "/WHOIS/?"+query, nil))
		if status != 200 || h.Get("Content-Type") != typeNDJSON {
			t.Fatalf("%d %v %s", status, h, body)
		}
		got := lines(body)
		want := []string{
			`{"domain":"sans.org","tld":"org","flag":1,`, `{"domain":"free.com","tld":"com","flag":1,"domain_status":["available"]`,
			`{"domain":"192.0.2.1","error":"` + unreadable + `"}`, `{"domain":"kept.com",`,
			`{"domain":"sans.org:127.0.0.1","error":"this WHOIS server`, `{"domain":"xn--mller-kva.de","tld":"de",`,
		}
		if len(got) != len(want) {
			t.Fatalf("%d lines: %s", len(got), body)
		}
		for i := range got {
			if !strings.HasPrefix(got[i], want[i]) || !json.Valid([]byte(got[i])) {
				t.Errorf("line %d: %s, want %s", i, got[i], want[i])
			}
		}
	}
	if n := a.State().BulkLines(); n != 12 {
		t.Errorf("%d lines counted", n)
	}
}

// Names of a list are looked up together, but not more than some at a time; the last come when the list's time is up.
func TestWhoisListIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, all atomic.Int64
		a := newAPIWithoutLedger(t, Options{Registration: func(ctx context.Context, domain, _ string) (*Registration, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			if all.Add(1); strings.HasPrefix(domain, "panic") {
				panic("boom")
			}
			select {
			case <-time.After(10 * time.Second):
				return &Registration{Class: "registered"}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
		var list strings.Builder
		for i := range maxList - 1 {
			fmt.Fprintf(&list, "n%d.com;", i)
		}
		from := time.Now()
		got := lines(get(t, a, "/WHOIS/?domain_list="+list.String()+"panic.com"))
		if len(got) != maxList || all.Load() != maxList {
			t.Fatalf("%d lines, %d lookups", len(got), all.Load())
		}
		if most.Load() > listAhead+1 || most.Load() < listAhead/2 {
			t.Errorf("%d lookups at the same time", most.Load())
		}
		if took := time.Since(from); took != maxListTime {
			t.Errorf("it took %v", took)
		}
		if !strings.Contains(got[0], `"flag":1,`) || !strings.Contains(got[maxList-2], `"domain":"n998.com","tld":"com","flag":-1,`) ||
			!strings.Contains(got[maxList-1], errInternal.Error()) {
			t.Errorf("%s … %s\n%s", got[0], got[maxList-2], got[maxList-1])
		}
	})
}

// What is there is sent, whatever comes after it. When the client goes, nothing more is looked up.
func TestWhoisListStreams(t *testing.T) {
	var asked, ended atomic.Int64
	a := newAPIWithoutLedger(t, Options{Registration: func(ctx context.Context, domain, server string) (*Registration, error) {
		if asked.Add(1); domain != "sans.org" {
			<-ctx.Done()
		}
		ended.Add(1)
		return registrations(ctx, domain, server)
	}})
	srv := httptest.NewServer(a)
	defer srv.Close()
	res, err := http.Get(srv.URL + "/WHOIS/?domain_list=sans.org" + strings.Repeat(";slow.com", 500))
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, `{"domain":"sans.org",`) {
		t.Errorf("%q, %v", line, err)
	}
	res.Body.Close()
	waitFor(t, func() bool { return a.state.streams.Load() == 0 && ended.Load() == asked.Load() })
	if n := asked.Load(); n > 2*listAhead {
		t.Errorf("%d names were asked for nobody", n)
	}
}

func TestWhoisListRefusals(t *testing.T) {
	a := newAPIWithoutLedger(t, Options{Registration: registrations, MaxStreams: 1})
	a.state.streams.Add(1)
	status, body, h := do(t, a, request("GET", "/WHOIS/?domain_list=sans.org", nil))
	if status != 503 || h.Get("Retry-After") == "" || h.Get("Content-Type") != typeJSON || !strings.Contains(body, `"error": "`) {
		t.Errorf("%d %v %s", status, h, body)
	}
	a.state.streams.Add(-1)
	if status, body, _ := do(t, a, request("HEAD", "/WHOIS/?domain_list=sans.org", nil)); status != 200 || body != "" {
		t.Errorf("HEAD: %d %s", status, body)
	}
	// As a client would have it: over a connection, where the server bounds what a request line may be.
	srv := httptest.NewServer(a)
	defer srv.Close()
	res, err := http.Get(srv.URL + "/WHOIS/?domain_list=" + strings.Repeat("some-name.example.com;", 10_000))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 413 || !strings.Contains(string(text), "10000 names, and there may be 1000") {
		t.Errorf("%d %s, %v", res.StatusCode, text, err)
	}
}
