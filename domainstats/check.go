package domainstats

import (
	"net/http"
	"time"
)

// Worker is how a machine is that looks registrations up for this one.
type Worker struct {
	Name     string    `json:"name"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"` // up, or down
	UnderWay int       `json:"under_way"`
	Rate     float64   `json:"rate"`    // lookups a second, lately
	Success  float64   `json:"success"` // the part of them that brought an answer, lately; 1 where there were none
}

// serveCheck lists the workers. WHOIS-API's master had the route for its nodes, and no answer.
func (a *API) serveCheck(w http.ResponseWriter) outcome {
	write(w, typeJSON, http.StatusOK, appendIndented(nil, struct {
		Workers []Worker `json:"workers"`
	}{a.opt.Workers()}, " "))
	return answered
}
