package caddyadmin

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/caddymodule/internal/lookups"
	"github.com/whence-project/whence/enrich"
)

const (
	lookupWait    = 2 * time.Second // of one subject, where the request does not say
	maxLookupWait = time.Minute
	maxLinesSize  = 1 << 20 // bytes of a list of subjects
	fewLines      = 10      // of a list that somebody has typed
)

// notFoundTrailer is the trailer that counts the lines about which nothing was found.
const notFoundTrailer = "Whence-Not-Found"

// lookup answers for one subject, as /v1/lookup does. The query has chain; wait, for what must be fetched; raw, for what servers wrote
// word by word; and form.
func lookup(w http.ResponseWriter, r *http.Request) error {
	subject, err := behind(r, atLookup, "192.0.2.1")
	if err != nil {
		return err
	}
	a, wait, err := asker(r, lookupWait, "chain", "wait", "raw", "form")
	if err != nil {
		return err
	}
	if _, err := enrich.ParseSubject(subject); err != nil {
		return adminapi.Fail(http.StatusBadRequest, err)
	}
	adminapi.Patient(w)
	a.Query.AskRegistry, a.Query.Insist = true, r.URL.Query().Has("wait")
	if wait > 0 {
		a.Query.Wait = time.Now().Add(wait)
	}
	b, _ := a.Append(r.Context(), nil, subject)
	setForm(w, a.Form, "application/json")
	_, _ = w.Write(b)
	return nil
}

// asker reads what a request wants to know, and how.
func asker(r *http.Request, standard time.Duration, known ...string) (a lookups.Asker, wait time.Duration, err error) {
	q, err := adminapi.QueryOf(r, known...)
	if err != nil {
		return a, 0, err
	}
	if a.Form, err = lookups.ParseForm(q.Get("form")); err != nil {
		return a, 0, adminapi.Fail(http.StatusBadRequest, err)
	}
	if a.Query.Raw, err = q.Bool("raw"); err != nil {
		return a, 0, err
	}
	if a.Query.AskRegistry, err = q.Bool("registry"); err != nil {
		return a, 0, err
	}
	if a.Before, err = q.Count("before", math.MaxInt32); err != nil {
		return a, 0, err
	}
	if wait, err = q.Duration("wait", standard, maxLookupWait); err != nil {
		return a, 0, err
	}
	a.Chain, err = chainNamed(q.Get("chain"))
	return a, wait, err
}

// setForm sets the headers of answers; json is the media type where they are JSON.
func setForm(w http.ResponseWriter, f lookups.Form, json string) {
	media := "text/plain; charset=utf-8"
	if f.JSON() {
		media = json
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
}

// lookupLines answers for the subjects in the body, a line each, in their order. The query is that of lookup, and has registry, for
// addresses, networks and AS numbers to be asked about at their registries too, and before: how many answers of a longer list, sent in
// parts, stand before these.
func lookupLines(w http.ResponseWriter, r *http.Request) error {
	a, wait, err := asker(r, 0, "chain", "wait", "raw", "form", "registry", "before")
	if err != nil {
		return err
	}
	body, err := adminapi.Body(w, r, maxLinesSize)
	if err != nil {
		return err
	}
	lines := slices.Collect(lookups.Lines(body))
	if a.Query.Insist = true; len(lines) > fewLines {
		a.Query.Priority = enrich.Pipeline
	}
	adminapi.Patient(w)
	setForm(w, a.Form, "application/x-ndjson")
	w.Header().Set("Trailer", notFoundTrailer)
	n, err := lookups.AppendAll(r.Context(), a, wait, lines, func(b []byte) error {
		_, err := w.Write(b)
		return err
	})
	if err == nil { // else who asked has gone
		w.Header().Set(notFoundTrailer, strconv.Itoa(n))
	}
	return nil
}
