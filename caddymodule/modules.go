// Package caddymodule links every Caddy module of Whence into the binary that imports it. Who wants only some of them imports
// their packages instead.
package caddymodule

import (
	_ "github.com/whence-project/whence/caddymodule/caddyadmin"
	_ "github.com/whence-project/whence/caddymodule/caddycluster"
	_ "github.com/whence-project/whence/caddymodule/caddycommands"
	_ "github.com/whence-project/whence/caddymodule/caddydomainstats"
	_ "github.com/whence-project/whence/caddymodule/caddydotforward"
	_ "github.com/whence-project/whence/caddymodule/caddyenrich"
	_ "github.com/whence-project/whence/caddymodule/caddyenrichhttp"
	_ "github.com/whence-project/whence/caddymodule/caddyenrichlog"
	_ "github.com/whence-project/whence/caddymodule/caddynotify"
	_ "github.com/whence-project/whence/caddymodule/caddystore"
	_ "github.com/whence-project/whence/caddymodule/caddywhois"
)
