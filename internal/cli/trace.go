package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/replay"
)

type traceCommand struct {
	systemFlags
	ID     string        `arg:"" help:"Whatever is known of it: the platform's id, or that of a delivery, an event, a message, a conversation, a dead letter, or a trace."`
	Limit  int           `default:"5" help:"How many at most; of a conversation's threads, the newest."`
	Within time.Duration `default:"5m" env:"TOWPATH_TRACE_WITHIN" help:"How long after the last known part others are looked for."`
	JSON   bool          `name:"json" help:"One JSON object a line; a thread, with its tree."`
}

// Run shows the threads.
func (c *traceCommand) Run(ctx context.Context, p *program) error {
	if err := replay.Named(c.ID); err != nil {
		return err
	}
	s, reader, err := c.reader(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	threads, err := reader.Trace(ctx, c.ID, replay.TraceOptions{Within: c.Within, Limit: c.Limit})
	if err != nil {
		return err
	}
	for i, thread := range threads {
		if c.JSON {
			err = json.NewEncoder(p.stdout).Encode(thread)
		} else {
			if i > 0 {
				fmt.Fprintln(p.stdout)
			}
			err = printThread(p.stdout, thread)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// branch is a line of a tree.
type branch struct {
	at, after, name, status, took, rest string

	below []string // what is said under it
	stem  string   // what stands before that
}

// printThread shows a thread to people.
func printThread(out io.Writer, thread *replay.Thread) error {
	var lines []branch
	for _, n := range thread.Tree {
		lines = appendBranches(lines, n, "", "")
	}
	var after, name, status, took int
	for _, l := range lines {
		after, name = max(after, len(l.after)), max(name, utf8.RuneCountInString(l.name))
		status, took = max(status, len(l.status)), max(took, len(l.took))
	}
	var text strings.Builder
	say := func(line string) { text.WriteString(strings.TrimRight(line, " ") + "\n") }
	say(fmt.Sprintf("trace %s, began %s, took %s\n", thread.Trace, precise(thread.Began), milliseconds(thread.MS)))
	previous := ""
	for _, l := range lines {
		at := l.at
		if at == previous {
			at = ""
		} else if at != "" {
			previous = at
		}
		// fmt counts what it pads in characters.
		say(fmt.Sprintf("%12s  %*s  %-*s  %-*s  %*s  %s", at, after, l.after, name, l.name, status, l.status, took, l.took, l.rest))
		for _, below := range l.below {
			say(fmt.Sprintf("%12s  %*s  %s%s", "", after, "", l.stem, below))
		}
	}
	for _, note := range thread.Notes {
		say("\n(" + note + ")")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// appendBranches adds a node and all that hangs on it. Fork stands before its
// name and stem before what is below it.
func appendBranches(lines []branch, n *replay.Node, fork, stem string) []branch {
	line := branch{name: fork + oneLine(n.Name), status: oneLine(n.Status), stem: stem + "  "}
	if len(n.Children) > 0 {
		line.stem = stem + "│ "
	}
	if !n.At.IsZero() {
		line.at = n.At.Local().Format("15:04:05.000") //nolint:gosmopolitan // read by somebody on this machine
		line.after = "+" + milliseconds(n.MS)
	}
	if n.TookMS > 0 {
		line.took = milliseconds(n.TookMS)
	}
	rest := []string{n.ID}
	if n.Kind == replay.OfAttempt {
		rest = []string{n.Worker}
	}
	var details []string
	for _, name := range slices.Sorted(maps.Keys(n.Detail)) {
		if !apart[name] {
			details = append(details, oneLine(fmt.Sprintf("%s %v", name, n.Detail[name])))
		}
	}
	if n.Kind == replay.OfWebhook {
		line.below = details
	} else {
		rest = append(rest, details...)
	}
	line.rest = strings.Join(slices.DeleteFunc(rest, func(s string) bool { return s == "" }), "  ")
	for text := range strings.Lines(n.Error) {
		if text = oneLine(text); text != "" {
			line.below = append(line.below, "✗ "+text)
		}
	}
	lines = append(lines, line)
	for i, child := range n.Children {
		if i < len(n.Children)-1 {
			lines = appendBranches(lines, child, stem+"├─ ", stem+"│  ")
		} else {
			lines = appendBranches(lines, child, stem+"└─ ", stem+"   ")
		}
	}
	return lines
}

// apart are details that only --json tells.
var apart = map[string]bool{"installation": true, "platform": true, "place": true, "conversation": true}

func milliseconds(ms float64) string {
	switch {
	case ms >= 3_600_000:
		return time.Duration(ms * float64(time.Millisecond)).Round(time.Second).String()
	case ms >= 10_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
	return fmt.Sprintf("%.1f ms", ms)
}
