package caddycommands

// long and examples are what `caddy whence --help` and its manual page say of all commands.
const (
	long = `The commands of Whence, beside those of Caddy.

A command asks the running server over its admin endpoint: that of --address, or of the configuration that --config names, or
localhost:2019. An endpoint on a unix socket (unix//run/whence/admin.sock) is open to root and to the user of the server. What a
command does without a server, of the files of a configuration or with --offline of its store, its own page says.

Results go to standard output, what there is to say about them to standard error; a bar shows progress where that is a terminal. The
exit status is 0 where all was done, and 1 where it was not; what others mean is said with the command.

Shells complete commands, flags and their values once they have loaded what "caddy completion" prints. What a configuration may have
(servers, sources, options) is in the documents of Whence, docs/ or /usr/share/doc/whence.`

	examples = `  caddy whence lookup 8.8.8.8 example.org
  caddy whence annotate --config /etc/whence/Caddyfile access.log
  caddy whence status --config /etc/whence/Caddyfile
  caddy whence export --all --address unix//run/whence/admin.sock names.json`
)
