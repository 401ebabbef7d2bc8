# What .ci/run and .ci/soak share. Source it from the root of the repository.

step() { printf '\n== %s\n' "$*"; }

# Debian packages the tests ask real clients and peers from. Elsewhere, install their like by hand; the tests say what they miss.
install_packages() {
	command -v apt-get >/dev/null || return 0
	local missing=() p
	for p in "$@"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
	[ ${#missing[@]} -eq 0 ] && return 0
	local sudo=()
	[ "$(id -u)" -eq 0 ] || sudo=(sudo)
	"${sudo[@]}" apt-get update -qq
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The folders of the Go modules, the repository's own first: those with a go.mod and Go files.
modules() {
	local mod dir
	for mod in $(git ls-files 'go.mod' '*/go.mod'); do
		dir=$(dirname "$mod")
		if [ -n "$(git ls-files "$dir/*.go")" ]; then echo "$dir"; fi
	done | sort
}

# The packages that do not link Caddy: the engines.
engines() {
	go list -f '{{$p := .ImportPath}}{{$c := false}}{{range .Deps}}{{if eq . "github.com/caddyserver/caddy/v2"}}{{$c = true}}{{end}}{{end}}{{if not $c}}{{$p}}{{end}}' ./... |
		sed '/^$/d'
}

# Nothing may skip where everything is there: tests fail instead of skipping when this is set.
if [ -d "${WHENCE_TESTDATA:-../shared/data}" ]; then
	export WHENCE_NO_SKIP=1
fi
