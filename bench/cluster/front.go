//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/whence-project/whence/enrich/registration"
)

// admin asks the admin endpoint of the Whence with that name.
func (b *bench) admin(name, method, path string, into any) error {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", b.Admin(name))
		}}}
	req, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// wait waits until the front knows so many workers.
func (b *bench) wait(front string, workers int) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var st struct{ Workers []registration.Worker }
		if err := b.admin(front, http.MethodGet, "/whence/workers", &st); err != nil {
			return err
		}
		if len(st.Workers) == workers {
			return nil
		}
	}
	return fmt.Errorf("there are no %d workers after a minute", workers)
}

// preload has the front put its list before the workers, and waits until it is done.
func (b *bench) preload(front string, names int) (took time.Duration, failed int, err error) {
	began := time.Now()
	var p registration.Progress
	if err := b.admin(front, http.MethodPost, fmt.Sprintf("/whence/preload?top=%d", names), &p); err != nil {
		return 0, 0, err
	}
	for {
		time.Sleep(250 * time.Millisecond)
		var all []registration.Progress
		if err := b.admin(front, http.MethodGet, "/whence/preload", &all); err != nil {
			return 0, 0, err
		}
		if len(all) == 1 && all[0].State == registration.PreloadFinished {
			return time.Since(began), all[0].Failed, nil
		}
		if time.Since(began) > time.Duration(b.seconds)*5*time.Second+time.Minute {
			return 0, 0, fmt.Errorf("the list is not done after %v: %+v", time.Since(began), all)
		}
	}
}
