package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
)

const (
	maxFile      = 3 << 20     // bytes; the largest has 72 KB, and what is kept must be below store.MaxValue
	fetchTimeout = time.Minute // of a file
	agent        = "whence (+https://github.com/whence-project/whence)"
)

// held is what is had of a file.
type held struct {
	*registry           // nil where there is none
	body      []byte    // it was read from this
	etag      string    // as the server gave it
	modified  string    // Last-Modified, likewise
	checked   time.Time // when the server last said that it is current
	failed    time.Time // when that last failed, zero where it went well since
	err       error
}

// Refresh asks for all files, for those that are had whether they have changed (RFC 9110 §13). A file that cannot be had, or is not
// sound, leaves in place what there is, and is in the error, with its name. Without Options.URL it does nothing.
func (b *Bootstrap) Refresh(ctx context.Context) error {
	if b.opt.URL == "" {
		return nil
	}
	b.refreshing.Lock()
	defer b.refreshing.Unlock()
	var all []error
	for i := range files {
		err := b.refresh(ctx, i)
		if ctx.Err() != nil {
			return context.Cause(ctx) // nothing is wrong with the file
		}
		if err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// refresh asks for one file. Nobody else does so at the same time.
func (b *Bootstrap) refresh(ctx context.Context, file int) error {
	b.mu.Lock()
	had := b.held[file]
	b.mu.Unlock()
	got, err := b.fetch(ctx, file, had)
	if err != nil {
		if unsound := (refused{}); errors.As(err, &unsound) {
			loaded := had.checked
			if loaded.IsZero() && b.compiled != nil {
				loaded = b.opt.Now() // what is compiled in serves
			}
			b.news(enrich.DataStatus{Path: b.opt.URL + files[file], Loaded: loaded, Error: enrich.Clean(err.Error())})
		}
		err = fmt.Errorf("%s: %w", files[file], err)
		if ctx.Err() == nil {
			b.mu.Lock()
			b.held[file].failed, b.held[file].err = b.opt.Now(), err
			b.mu.Unlock()
		}
		return err
	}
	b.install(file, got)
	b.keep(file, got)
	if got.registry != had.registry {
		b.opt.Logger.Info("registry of RDAP servers taken in", zap.String("file", files[file]),
			zap.Time("publication", got.published), zap.Int("records", got.records))
		if had.registry != nil {
			b.news(enrich.DataStatus{Path: b.opt.URL + files[file], Type: "RDAP bootstrap file", Built: got.published, Loaded: got.checked,
				Records: got.records, Bytes: int64(len(got.body))})
		}
	}
	return nil
}

func (b *Bootstrap) news(d enrich.DataStatus) {
	if b.opt.News != nil {
		b.opt.News(d)
	}
}

// refused is why a file that was fetched is not taken in.
type refused struct{ error }

// install makes a file the one that lookups read.
func (b *Bootstrap) install(file int, h held) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[file] = h
	next := *b.view.Load()
	if next.files[file] != h.registry {
		next.files[file] = h.registry
		b.view.Store(&next)
	}
}

// fetch is the file as the server has it now, which may be as it was.
func (b *Bootstrap) fetch(ctx context.Context, file int, had held) (held, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.opt.URL+files[file], nil)
	if err != nil {
		return held{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", agent)
	if had.registry != nil && had.etag != "" {
		req.Header.Set("If-None-Match", had.etag)
	}
	if had.registry != nil && had.modified != "" {
		req.Header.Set("If-Modified-Since", had.modified)
	}
	resp, err := b.opt.HTTP.Do(req)
	if err != nil {
		return held{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && had.registry != nil:
		had.checked, had.failed, had.err = b.opt.Now(), time.Time{}, nil
		return had, nil
	case resp.StatusCode != http.StatusOK:
		return held{}, fmt.Errorf("the server answers %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err != nil {
		return held{}, err
	}
	if len(body) > maxFile {
		return held{}, refused{fmt.Errorf("more than %d bytes", maxFile)}
	}
	r, err := readFile(file, body)
	if err != nil {
		return held{}, refused{err}
	}
	if least := b.least(file, had); r.records < least {
		return held{}, refused{fmt.Errorf("%d entries, of which there should be %d at least: less than half of what there were", r.records, least)}
	}
	return held{
		registry: r, body: body, etag: header(resp, "ETag"), modified: header(resp, "Last-Modified"), checked: b.opt.Now(),
	}, nil
}

// header is a header as it is to be sent back, empty where it is too long to be one.
func header(resp *http.Response, name string) string {
	if v := resp.Header.Get(name); len(v) <= 256 {
		return v
	}
	return ""
}

// least is how many entries a new version of a file must have to be believed: half of those it had.
func (b *Bootstrap) least(file int, had held) int {
	switch {
	case had.registry != nil:
		return (had.records + 1) / 2
	case b.compiled != nil:
		return (compiledRecords()[file] + 1) / 2
	}
	return 0
}

// compiledRecords is how many entries the files had that the compiled tables were made from, as far as those tell.
func compiledRecords() (n [len(files)]int) {
	for _, d := range iana.New().Status().Data {
		switch d.Type {
		case "RDAP bootstrap file for Domain Name System registrations":
			n[fileDNS] = d.Records
		case "RDAP bootstrap file for IPv6 address allocations":
			n[fileIPv6] = d.Records
		case "RDAP bootstrap file for Autonomous System Number allocations":
			n[fileASN] = d.Records
		}
	}
	n[fileTags] = len(loadOwn().tags)
	return n
}
