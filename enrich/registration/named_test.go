package registration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

func TestLookupAt(t *testing.T) {
	u := new(upstream)
	named := u.whoisServer(t, func(string) string { return whoisRegistered })
	s, chain := newSource(t, Options{Servers: []string{named.Addr(), "*.whois.example"}}, suffix("", u.whoisServer(t, func(string) string {
		return "No match\r\n"
	})))
	r, err := s.LookupAt(ctx, "example.test", named.Addr())
	if err != nil || r.Answer == nil || r.Answer.Registrar != "Whois Registrar" || !strings.Contains(r.Raw.Text, "Whois Registrar") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r := lookup(chain, enrich.Query{}); field(r, "registration") != "available" {
		t.Errorf("what a named server said is in the cache: %s", r.AppendJSON(nil))
	}
	asked := u.count()
	for _, server := range []string{"127.0.0.1", "127.0.0.1:1", "whois.other.example", "whois.example.evil.example", "x.whois.example:4343"} {
		if r, err := s.LookupAt(ctx, "example.test", server); !errors.Is(err, ErrServerNotAllowed) {
			t.Errorf("%s: %+v, %v", server, r, err)
		}
	}
	for _, bad := range []string{"", "a b", "host:99999", "whois.example\r\nquit"} {
		if _, err := s.LookupAt(ctx, "example.test", bad); err == nil {
			t.Errorf("server %q is taken", bad)
		}
	}
	if u.count() != asked {
		t.Errorf("asked: %s", u.all())
	}
}

// TestNamedServersAreOnThePublicInternet has a pattern that allows any server: none of them may be on this machine.
func TestNamedServersAreOnThePublicInternet(t *testing.T) {
	u := new(upstream)
	server := u.whoisServer(t, func(string) string { return whoisRegistered })
	s, _ := newSource(t, Options{Servers: []string{"*"}})
	s.opt.Whois.Dial = dialTo(s.opt.Whois.Dial, "127.0.0.1:43", "127.0.0.1:43")
	r, err := s.LookupAt(ctx, "example.test", "127.0.0.1")
	if err != nil || r.Answer != nil || r.Fault != Unreachable {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.LookupAt(ctx, "example.test", server.Addr()); !errors.Is(err, ErrServerNotAllowed) {
		t.Errorf("another port: %v", err)
	}
	if u.count() != 0 {
		t.Errorf("asked: %s", u.all())
	}
}

func TestLookupTellsWhatWentWrong(t *testing.T) {
	for _, tt := range []struct {
		reply string
		want  Fault
	}{
		{"", Refused}, {"Query rate limit exceeded\r\n", Refused}, {"Hello\r\n", OtherFault}, {whoisRegistered, NoFault},
	} {
		u := new(upstream)
		s, _ := newSource(t, Options{}, suffix("", u.whoisServer(t, func(string) string { return tt.reply })))
		for range 2 { // the second is answered from what is remembered
			r, err := s.Lookup(ctx, "www.example.test")
			if err != nil || r.Fault != tt.want || (r.Answer != nil) != (tt.want == NoFault) {
				t.Errorf("%q: %+v, %v", tt.reply, r, err)
			}
		}
		if u.count() != 1 {
			t.Errorf("%q: asked %s", tt.reply, u.all())
		}
	}
}

func TestLookupEndsWithItsContext(t *testing.T) {
	u, gate := new(upstream), make(chan struct{})
	s, _ := newSource(t, Options{}, suffix("", u.whoisServer(t, func(string) string { <-gate; return whoisRegistered })))
	short, cancel := context.WithCancel(ctx)
	go func() {
		waitFor(t, func() bool { return u.count() == 1 })
		cancel()
	}()
	if r, err := s.Lookup(short, "example.test"); err != nil || r.Fault != Timeout {
		t.Errorf("%+v, %v", r, err)
	}
	close(gate)
	if r, err := s.Lookup(ctx, "example.test"); err != nil || r.Answer == nil || u.count() != 1 {
		t.Errorf("%+v, %v, asked %s", r, err, u.all())
	}
	for _, bad := range []string{"", "8.8.8.8", "com", "no such name"} {
		if r, err := s.Lookup(ctx, bad); err == nil {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}

func TestLearn(t *testing.T) {
	u := new(upstream)
	s, chain := newSource(t, Options{}, suffix("", u.whoisServer(t, func(string) string { return whoisRegistered })))
	created := time.Date(1995, 8, 4, 0, 0, 0, 0, time.UTC)
	s.Learn("www.example.test", created, time.Time{}, "top1m")
	r := lookup(chain, enrich.Query{})
	if r.Value(enrich.Created) != "1995-08-04T00:00:00Z" || field(r, "registration_via") != "top1m" || u.count() != 0 {
		t.Errorf("%s, asked %s", r.AppendJSON(nil), u.all())
	}
	s.Learn("example.test", created.AddDate(1, 0, 0), time.Time{}, "again")
	if r := lookup(chain, enrich.Query{}); r.Value(enrich.Created) != "1995-08-04T00:00:00Z" {
		t.Errorf("what was known was replaced: %s", r.AppendJSON(nil))
	}
}
