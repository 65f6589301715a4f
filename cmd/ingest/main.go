// Command ingest runs the ingest process: the verb of the same name of towpath.
package main

import (
	"os"

	"github.com/towpath/towpath"
	"github.com/towpath/towpath/pkg/handlers/catalog"
)

func main() { os.Exit(towpath.Main(append([]string{"ingest"}, os.Args[1:]...), catalog.All()...)) }
