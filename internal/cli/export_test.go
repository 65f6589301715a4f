package cli

import (
	"context"
	"io"
	"time"

	"github.com/alecthomas/kong"
)

// Verbs are the leaves of the grammar, so that no test needs a list of them.
func Verbs() ([]*kong.Node, error) {
	parser, err := newParser()
	if err != nil {
		return nil, err
	}
	return parser.Model.Leaves(true), nil
}

// Confirm asks on a terminal that says what in holds, or where there is none.
func Confirm(ctx context.Context, in io.Reader, terminal bool, out io.Writer) error {
	return (&program{stdin: in, terminal: terminal, stderr: out}).confirm(ctx, "Do 2 things")
}

// ParseMoment reads a time on the command line.
func ParseMoment(text string, now time.Time) (time.Time, error) { return parseMoment(text, now) }
