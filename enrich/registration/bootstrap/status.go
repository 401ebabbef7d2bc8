package bootstrap

import "time"

// FileStatus is how a file of RFC 9224 is.
type FileStatus struct {
	File        string    `json:"file"`                 // "dns.json"
	Origin      string    `json:"origin,omitempty"`     // what answers: Fetched, Compiled, or nothing
	Publication time.Time `json:"publication,omitzero"` // the date it gives itself, of a fetched one
	Records     int       `json:"records"`              // entries of the fetched one
	Fetched     time.Time `json:"fetched,omitzero"`     // when the server last said that it is current
	Error       string    `json:"error,omitempty"`      // what went wrong last, if it did since
	ErrorTime   time.Time `json:"error_time,omitzero"`
}

// Status is how the files are, none where none are fetched.
func (b *Bootstrap) Status() []FileStatus {
	if b.opt.URL == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]FileStatus, len(files))
	for i, h := range b.held {
		s := FileStatus{File: files[i]}
		switch {
		case h.registry != nil:
			s.Origin, s.Publication, s.Records, s.Fetched = Fetched, h.published, h.records, h.checked
		case b.compiled != nil:
			s.Origin = Compiled
		}
		if h.err != nil {
			s.Error, s.ErrorTime = h.err.Error(), h.failed
		}
		list[i] = s
	}
	return list
}
