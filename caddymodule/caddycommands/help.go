package caddycommands

import "github.com/spf13/cobra"

// long and examples are what `caddy whence --help` and its manual page say of all commands.
const (
	long = `The commands of Whence, beside those of Caddy.

A command asks the running server over its admin endpoint: that of --address, or of the configuration that --config names, or
localhost:2019. An endpoint on a unix socket (unix//run/whence/admin.sock) is open to root and to the user of the server.

What a command can do without a server it does with --offline: it reads the configuration and opens what that names itself, such as the
store, which no server may have open then.

Results go to standard output, what there is to say about them to standard error; a bar shows progress where that is a terminal. The
exit status is 0 where all was done, and 1 where it was not.

Flags have their values completed in shells that load what "caddy completion" prints. The servers, sources and options that a
configuration may have are described in the documents of Whence, and not here.`

	examples = `  caddy whence import --form json export.json
  caddy whence export --all --address unix//run/whence/admin.sock names.json`
)

// choices completes a flag that takes one of some words.
func choices(cmd *cobra.Command, flag string, words ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag: the program is wrong
	}
}
