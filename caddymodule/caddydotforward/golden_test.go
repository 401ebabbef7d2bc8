package caddydotforward_test

import (
	"testing"

	_ "github.com/whence-project/whence/caddymodule/caddydotforward"
	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }
