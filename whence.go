// Package whence is what xcaddy links when it builds a Caddy with Whence: importing it registers every Caddy module of the
// project. The engines are in the packages below it and need no Caddy.
package whence

import _ "github.com/whence-project/whence/caddymodule"
