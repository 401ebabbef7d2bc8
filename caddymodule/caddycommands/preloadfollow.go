package caddycommands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/whence-project/whence/enrich/registration"
)

const (
	firstPoll = 200 * time.Millisecond // what is in the cache already is done by then
	pollEvery = time.Second
	tellEvery = 10 * time.Second // where there is no terminal
	maxPolls  = 10               // that may fail one after another: in a reload, the admin endpoint is away for a moment
)

// follow shows how far a preload is until it is over, or the command is interrupted.
func (p *preload) follow(ctx context.Context, now *progressOf) (code int, err error) {
	tell, end := p.teller(now)
	defer end()
	tick := time.NewTicker(firstPoll)
	defer tick.Stop()
	for failures := 0; !over(now); {
		tell(now)
		select {
		case <-ctx.Done():
			end()
			fmt.Fprintln(os.Stderr, "interrupted; the server goes on: `caddy whence preload` shows how far it is, `caddy whence preload --stop` stops it")
			return exitInterrupted, nil
		case <-tick.C:
			tick.Reset(pollEvery)
		}
		next, err := p.now()
		if err != nil {
			if failures++; failures > maxPolls {
				return 1, err
			}
			continue
		}
		if failures = 0; next == nil || !next.Started.Equal(now.Started) && now.State == registration.PreloadRunning {
			return 1, errors.New("the server has another preload, or none any more: its configuration was changed")
		}
		now = next
	}
	end()
	if err := p.show(os.Stdout, now); err != nil {
		return 1, err
	}
	if now.State == registration.PreloadStopped {
		return 1, errors.New("the preload was stopped")
	}
	return 0, nil
}

func over(p *progressOf) bool {
	return p.State == registration.PreloadFinished || p.State == registration.PreloadStopped
}

// teller shows progress as it comes: as JSON or CSV, as a bar on a terminal, or as a line now and then. end takes the bar away; it may be called
// twice.
func (p *preload) teller(first *progressOf) (tell func(*progressOf), end func()) {
	if p.format != "text" {
		return func(now *progressOf) { _ = p.show(os.Stdout, now) }, func() {}
	}
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		told := time.Time{}
		return func(now *progressOf) {
			if now.State == registration.PreloadRunning && time.Since(told) >= tellEvery {
				told = time.Now()
				_ = p.show(os.Stderr, now)
			}
		}, func() {}
	}
	bar := progressbar.NewOptions(max(first.Names, 1), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
	tell = func(now *progressOf) {
		if now.Names > 0 && now.Names != bar.GetMax() {
			bar.ChangeMax(now.Names)
		}
		text := now.State
		if now.State == registration.PreloadRunning {
			text = fmt.Sprintf("%d failed, %.1f/s, %s left", now.Failed, now.Rate, time.Duration(now.Left)*time.Second)
		}
		bar.Describe(text)
		_ = bar.Set(now.Done)
	}
	return tell, func() { _ = bar.Finish() }
}
