//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/whence-project/whence/bench/internal/ask"
	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
	"github.com/whence-project/whence/internal/registryfarm"
)

// runCrowd has a crowd ask for one name that nobody knows. Its registry takes its time, so that all have asked before the answer.
func (b *bench) runCrowd(whence *child.Server, w io.Writer) error {
	if err := b.farm.forget(); err != nil {
		return err
	}
	const name = "crowd." + slow
	elapsed, sent, err := ask.Crowd(whence.Addr, b.crowd, "/v1/lookup/"+name+"?wait=60s", func(body []byte) error {
		return checkAnswer(name, "rdap", body)
	})
	if err != nil {
		return err
	}
	asked, err := b.farm.counts()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nA crowd: %d connections ask for one unknown name; all had asked after %v, the registry took %v, "+
		"all were answered, rightly, after %v\n\n", b.crowd, sent.Round(time.Millisecond), slowLatency, elapsed.Round(time.Millisecond))
	if sent >= slowLatency {
		b.Skip("the crowd", fmt.Errorf("the requests took %v, so that not all came before the answer", sent))
	}
	contest.AtMost(w, "queries to registries", float64(asked.Queries), 1)
	return nil
}

// hot are the names of the contest of known names.
const hot = 2000

// contestKnown measures requests about names whose registration is in memory.
func (b *bench) contestKnown(whence *child.Server, known []string, w io.Writer) error {
	r := rand.New(rand.NewPCG(1, 1))
	draws := make([]string, b.requests)
	for i := range draws {
		draws[i] = known[r.IntN(len(known))]
	}
	// Each is asked for once: what only the store has is in memory then, and no answer of format C is a first contact any more.
	seen := new(sample)
	if _, err := ask.All(whence.Addr, b.clients, "/", ask.Each(known), seen.take); err != nil {
		return err
	}
	if err := b.farm.forget(); err != nil {
		return err
	}
	respond, err := b.Caddy("respond", b.caddy, child.Caddyfile{Sites: child.Site("respond `" + escape(seen.body) + "`")}, child.Serving)
	if err != nil {
		return err
	}
	of := func(name string, s *child.Server, prefix string, check func(string, []byte) error) *contest.Contender {
		return &contest.Contender{Name: name, Run: func() (contest.Sample, error) {
			return contest.Measure(s, func() (int, time.Duration, error) {
				begin := time.Now()
				n, err := ask.All(s.Addr, b.clients, prefix, ask.Each(draws), check)
				return n, time.Since(begin), err
			})
		}}
	}
	contenders := []*contest.Contender{
		of("Caddy's respond", respond, "/", func(string, []byte) error { return nil }),
		of("whence, /depuny: nothing is looked up", whence, "/depuny?domain=", func(string, []byte) error { return nil }),
		of("whence, /v1/lookup, registration known", whence, "/v1/lookup/", hasClass),
		of("whence, format C, registration known", whence, "/", hasDate),
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	asked, err := b.farm.counts()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nKnown names: %d keep-alive connections, %d requests a round about %d names, median of %d rounds\n\n",
		b.clients, b.requests, len(known), b.rounds)
	contest.Table{Rate: "requests/s", Unit: "request"}.Write(w, contenders, contenders[0], contenders[1])
	fmt.Fprintf(w, "\n- queries to registries meanwhile: %d\n", asked.Queries)
	return nil
}

// sample is the first answer of format C about a name that is registered, for respond to send the same.
type sample struct {
	once sync.Once
	body string
}

func (s *sample) take(name string, body []byte) error {
	if registryfarm.Expected(name).Registered {
		s.once.Do(func() { s.body = string(bytes.TrimSpace(body)) })
	}
	return nil
}

// escape is a text as the body of respond, in which braces that are not escaped are placeholders.
func escape(s string) string { return strings.NewReplacer("{", `\{`, "}", `\}`).Replace(s) }

// hasClass holds an answer of /v1/lookup loosely: each was checked in full before.
func hasClass(name string, body []byte) error {
	class := `"registration":"registered"`
	if !registryfarm.Expected(name).Registered {
		class = `"registration":"available"`
	}
	if !bytes.Contains(body, []byte(class)) {
		return fmt.Errorf("%s: answered %s", name, body)
	}
	return nil
}

// hasDate holds an answer of format C: it has the date of the registration.
func hasDate(name string, body []byte) error {
	want := registryfarm.Expected(name)
	if want.Registered && !bytes.Contains(body, []byte(want.Created.Format(http.TimeFormat))) {
		return fmt.Errorf("%s: answered %s", name, body)
	}
	return nil
}
