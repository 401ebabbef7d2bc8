package domainstats

import (
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/whence-project/whence/enrich"
)

//go:embed openapi.json
var openAPI []byte

// maxWait is how long a client of /v1 may have an answer wait for what must be fetched.
const maxWait = time.Minute

var errWait = errors.New("wait: want a duration from 0s to " + maxWait.String() + ", such as 2s or 500ms")

// waitOf is how long the client of r would wait, standard where it does not say.
func waitOf(r *http.Request, standard time.Duration) (time.Duration, error) {
	if r.URL.RawQuery == "" {
		return standard, nil
	}
	text := r.URL.Query().Get("wait")
	if text == "" {
		return standard, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, errWait
	}
	return wait, nil
}

// serveLookup answers GET /v1/lookup/<subject> with the whole record. Nothing is seen by it.
func (a *API) serveLookup(w http.ResponseWriter, r *http.Request, arg string, c *call) outcome {
	s, err := enrich.ParseSubject(arg)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return invalid
	}
	wait, err := waitOf(r, a.opt.Wait)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return invalid
	}
	c.query = enrich.Query{Subject: s, AskRegistry: true, Insist: r.URL.RawQuery != ""}
	if wait > 0 {
		c.query.Wait = time.Now().Add(wait)
	}
	a.opt.Chain.Lookup(r.Context(), &c.query, &c.rec)
	c.buf = append(c.rec.AppendJSON(c.buf[:0]), '\n')
	o := unknown
	if c.rec.Found() {
		o = answered
	}
	write(w, typeJSON, http.StatusOK, c.buf)
	return o
}

// serveSources answers GET /v1/sources with the status of the chain's sources, in its order.
func (a *API) serveSources(w http.ResponseWriter) outcome {
	b, err := json.Marshal(a.opt.Chain.Status())
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return invalid
	}
	write(w, typeJSON, http.StatusOK, append(b, '\n'))
	return answered
}
