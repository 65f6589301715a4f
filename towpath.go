// Package towpath is what a binary with integrations of its own calls.
//
//	func main() { os.Exit(towpath.Main(os.Args[1:], acme.Integration)) }
//
// gives that binary every verb of Towpath, ingest and worker too.
package towpath

import (
	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/pkg/handlers"
)

// Main runs the verb that args name, such as "dev" or "worker", with the given
// integrations, and returns the exit status. It handles SIGINT and SIGTERM.
func Main(args []string, integrations ...handlers.Registrable) int {
	return cli.Main(args, integrations)
}
