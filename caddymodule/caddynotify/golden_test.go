package caddynotify_test

import (
	"testing"

	// The directive "events".
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents/eventsconfig"

	_ "github.com/whence-project/whence/caddymodule/caddynotify"
	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }
