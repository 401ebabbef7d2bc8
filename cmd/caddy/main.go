// Command caddy is a Caddy with Whence inside: the standard modules and all of Whence's.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/whence-project/whence/caddymodule"
)

func main() { caddycmd.Main() }
