package cli

import "github.com/alecthomas/kong"

// Verbs are the leaves of the grammar, so that no test needs a list of them.
func Verbs() ([]*kong.Node, error) {
	parser, err := newParser()
	if err != nil {
		return nil, err
	}
	return parser.Model.Leaves(true), nil
}
