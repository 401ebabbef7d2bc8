package domainstats

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"github.com/whence-project/whence/enrich"
)

//go:embed openapi.json
var openAPI []byte

// serveLookup answers GET /v1/lookup/<subject> with the whole record. Nothing is seen by it.
func (a *API) serveLookup(w http.ResponseWriter, r *http.Request, arg string, c *call) outcome {
	s, err := enrich.ParseSubject(arg)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return invalid
	}
	a.lookup(r, c, s, 0, a.opt.Now())
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
