package caddycluster_test

import (
	"testing"

	_ "github.com/whence-project/whence/caddymodule/caddycluster"
	_ "github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }
