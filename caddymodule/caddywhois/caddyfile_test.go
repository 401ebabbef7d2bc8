package caddywhois_test

import (
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/proxyprotocol"

	_ "github.com/whence-project/whence/caddymodule/caddywhois"
	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }
