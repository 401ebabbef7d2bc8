package caddydomainstats_test

import (
	"testing"

	_ "github.com/whence-project/whence/caddymodule/caddydomainstats"
	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }
