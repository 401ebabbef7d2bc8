package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxRedirects is how many redirections are followed.
const maxRedirects = 5

// follow asks for r.URL, and for what its server redirects to. Who is redirected to gets none of the request's own header, unless it
// is the same server, and no Referer, in which the URL's secrets would be.
func (c *Client) follow(ctx context.Context, r *Request) (*http.Response, error) {
	first, err := parseURL(r.URL)
	if err != nil {
		return nil, err
	}
	for at, hop := first, 0; ; hop++ {
		resp, err := c.ask(ctx, r, at, first)
		if err != nil {
			return nil, err
		}
		if !redirects(resp.StatusCode) {
			return resp, nil
		}
		next, err := resp.Location()
		resp.Body.Close()
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s redirects to nowhere", at.Hostname())
		case hop == maxRedirects:
			return nil, fmt.Errorf("more than %d redirections", maxRedirects)
		case at.Scheme == "https" && next.Scheme == "http":
			return nil, fmt.Errorf("%s redirects from https to http, which is not followed", at.Hostname())
		}
		next.User = nil
		if at, err = parseURL(next.String()); err != nil {
			return nil, fmt.Errorf("a redirection: %w", err)
		}
	}
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (c *Client) ask(ctx context.Context, r *Request, at, first *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, errURL
	}
	if at.Scheme == first.Scheme && strings.EqualFold(at.Host, first.Host) {
		for name, values := range r.Header {
			req.Header[name] = values
		}
	}
	req.Header.Set("User-Agent", agent)
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	if r.Modified != "" {
		req.Header.Set("If-Modified-Since", r.Modified)
	}
	return c.http.Do(req)
}

var errURL = errors.New("not a URL of http or https")

// parseURL is url.Parse with an error that quotes nothing.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errURL
	}
	return u, nil
}
