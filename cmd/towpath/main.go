// Command towpath runs every verb of Towpath with the integrations of this repository.
package main

import (
	"os"

	"github.com/towpath/towpath"
	"github.com/towpath/towpath/pkg/handlers/catalog"
)

func main() { os.Exit(towpath.Main(os.Args[1:], catalog.All()...)) }
