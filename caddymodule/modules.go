// Package caddymodule links every Caddy module of Whence into the binary that imports it. Who wants only some of them imports
// their packages instead.
package caddymodule

import (
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/gaissmai/bart"
	_ "github.com/maypok86/otter/v2"
	_ "github.com/oschwald/maxminddb-golang/v2"
)
