package caddyadmin

import (
	"bytes"
	"maps"
	"net/http"
	"slices"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

const (
	maxTop       = 10_000_000
	maxNamesSize = 32 << 20 // bytes of a list of names that is posted: more than a million of them
)

// preload is how far a chain's source registration has come with its preload.
type preload struct {
	Chain string `json:"chain"`
	*registration.Progress
	LeftOut int            `json:"left_out,omitempty"` // lines posted that are no names
	Workers map[string]int `json:"workers,omitempty"`  // what each lookup worker has done, where the machines share the names
}

// showPreloads writes how far the preloads are, the last one of each chain.
func showPreloads(w http.ResponseWriter, r *http.Request) error {
	if _, err := adminapi.QueryOf(r); err != nil {
		return err
	}
	app, err := chains()
	if err != nil {
		return err
	}
	list := []preload{}
	all := app.Provisioned()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if caddyenrich.ListOf(all[name]) != nil {
			p, err := listOf(r.Context(), all[name])
			if err != nil {
				return err
			}
			if p.Names > 0 {
				list = append(list, p)
			}
			continue
		}
		if s := caddyenrich.RegistrationOf(all[name]); s != nil && s.Preloading() != nil {
			list = append(list, preload{Chain: name, Progress: s.Preloading()})
		}
	}
	return adminapi.Reply(w, http.StatusOK, list)
}

// startPreload begins to look up ?top= names of the chain's list, or the names in the body, a line each. The query has chain, and delay.
func startPreload(w http.ResponseWriter, r *http.Request) error {
	q, err := adminapi.QueryOf(r, "top", "chain", "delay")
	if err != nil {
		return err
	}
	top, err := q.Count("top", maxTop)
	if err != nil {
		return err
	}
	delay, err := q.Duration("delay", -1, 0)
	if err != nil {
		return err
	}
	adminapi.Patient(w)
	body, err := adminapi.Body(w, r, maxNamesSize)
	if err != nil {
		return err
	}
	names, bad := namesIn(body)
	if (top == 0) == (len(names) == 0) {
		return adminapi.Failf(http.StatusBadRequest, "want either top=1000, for the chain's list, or names in the body, one a line; %d lines are none", bad)
	}
	chain, err := chainNamed(q.Get("chain"))
	if err != nil {
		return err
	}
	if caddyenrich.ListOf(chain) != nil {
		return enlist(w, r, chain, top, names, bad)
	}
	if err := caddyenrich.StartPreload(chain, top, names, delay); err != nil {
		return refused(err, http.StatusConflict)
	}
	p := caddyenrich.RegistrationOf(chain).Preloading()
	return adminapi.Reply(w, http.StatusAccepted, preload{Chain: chain.Name(), Progress: p, LeftOut: bad})
}

// namesIn are the domains in a list, a line each, behind their rank or without one. bad counts the lines that are none.
func namesIn(body []byte) (names []string, bad int) {
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if at := bytes.LastIndexByte(line, ','); at >= 0 {
			line = line[at+1:]
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if s, err := enrich.ParseSubject(string(line)); err == nil && s.Kind() == enrich.Domain {
			names = append(names, s.Name())
		} else {
			bad++
		}
	}
	return names, bad
}

// stopPreload ends the preload of ?chain=.
func stopPreload(w http.ResponseWriter, r *http.Request) error {
	q, err := adminapi.QueryOf(r, "chain")
	if err != nil {
		return err
	}
	chain, err := chainNamed(q.Get("chain"))
	if err != nil {
		return err
	}
	if node := caddyenrich.ListOf(chain); node != nil {
		return stopList(w, r, chain, node)
	}
	s := caddyenrich.RegistrationOf(chain)
	if s == nil || !s.StopPreload() {
		return adminapi.Failf(http.StatusNotFound, "no preload is under way in the chain %s", chain.Name())
	}
	return adminapi.Reply(w, http.StatusOK, preload{Chain: chain.Name(), Progress: s.Preloading()})
}
