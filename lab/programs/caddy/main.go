// Caddy with caddy-l4: the binary that Caddy's download service would hand out for p=github.com/mholt/caddy-l4.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-l4"
)

func main() { caddycmd.Main() }
