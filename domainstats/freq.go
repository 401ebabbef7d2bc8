package domainstats

import "net/http"

const (
	noTable  = "No frequency table is loaded."
	noTrain  = "Tables are not trained over HTTP. Train one from a file, and name it in the configuration."
	noString = "Nothing to measure. Try /measure/example.org"
)

// serveMeasure answers freq_server's routes: two numbers as Python writes a tuple, or one of them. The string is what stands in
// the path, not decoded: so scored freq_server, and its callers escape with that in mind.
func (a *API) serveMeasure(w http.ResponseWriter, t *target, c *call) outcome {
	switch {
	case t.route == routeNormal:
		write(w, typeText, http.StatusNotImplemented, []byte(noTrain))
		return refused
	case t.arg == "":
		write(w, typeText, http.StatusOK, []byte(noString))
		return invalid
	}
	average, word, ok := 0.0, 0.0, false
	if a.opt.Score != nil {
		average, word, ok = a.opt.Score(t.table, t.arg)
	}
	if !ok {
		write(w, typeText, http.StatusOK, []byte(noTable))
		return unknown
	}
	c.buf = c.buf[:0]
	switch t.number {
	case '1':
		c.buf = appendNumber(c.buf, average)
	case '2':
		c.buf = appendNumber(c.buf, word)
	default:
		c.buf = appendNumber(append(c.buf, '('), average)
		c.buf = append(appendNumber(append(c.buf, ',', ' '), word), ')')
	}
	write(w, typeText, http.StatusOK, c.buf)
	return answered
}
