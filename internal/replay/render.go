package replay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/dispatch"
)

// width is how many characters of a value are shown to people.
const width = 110

// heading names a delivery in one line.
func (s Shadowed) heading() string {
	line := s.Delivery + "  " + string(s.Operation)
	if s.Alias != "" {
		line += fmt.Sprintf("  %s of %s", s.Alias, s.Bot)
	}
	return line + "  " + s.Stored.Local().Format(time.DateTime) //nolint:gosmopolitan // read by somebody on this machine
}

// Print shows people what the handler asked, did and said.
func (s Shadowed) Print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintln(&text, s.heading())
	line := func(what, detail string) { fmt.Fprintf(&text, "  %-9s %s\n", what, detail) }
	switch {
	case s.Unable != "":
		line("not run", s.Unable)
	case s.Then == nil:
		line("then", "no recording of it is kept")
	default:
		line("then", fmt.Sprintf("%s, at attempt %d, on %s", outcome(*s.Then), s.Then.Attempt, s.Then.Worker))
		if s.Then.Truncated {
			line("", "it was too much to be recorded whole")
		}
	}
	if s.Unable == "" {
		for _, step := range s.steps() {
			line(step.what, step.title)
			for _, part := range wrapped(step.asked) {
				line("", part)
			}
			if step.told != "" {
				line("       →", step.told)
			}
			if step.note != "" {
				line("       !", string(step.note))
			}
		}
		for _, logged := range s.Log {
			line("log", logged)
		}
		if r := s.Now.Response; r != nil {
			line("answer", strings.TrimSpace(fmt.Sprintf("%d %s", cmp.Or(r.Status, http.StatusOK), brief(string(r.Body)))))
		}
		line("now", outcome(s.Now))
		for _, frame := range frames(s.Stack) {
			line("", frame)
		}
	}
	_, err := fmt.Fprintln(out, text.String())
	return err
}

// step is one thing between the handler and the others.
type step struct {
	after       time.Duration
	what, title string
	asked, told string
	note        Source
}

func (s Shadowed) steps() []step {
	var all []step
	note := func(i int) Note {
		if i < len(s.Notes) {
			return s.Notes[i]
		}
		return Note{}
	}
	for i, c := range s.Now.Calls {
		one := step{
			after: c.After, what: "read", title: titled(describeCall(c), note(i)), asked: string(c.Input),
			told: answerIn(c), note: note(i).Source,
		}
		if c.Effect {
			one.what = "effect"
		}
		if c.Error != nil {
			one.told = string(c.Error.Type) + ": " + brief(c.Error.Message)
		}
		all = append(all, one)
	}
	for i, e := range s.Now.Exchanges {
		n := note(len(s.Now.Calls) + i)
		one := step{
			after: e.After, what: "platform", title: titled(e.Method+" "+e.URL, n), asked: e.Body,
			told: strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, brief(e.Answer))), note: n.Source,
		}
		if e.Status == 0 {
			one.told = brief(e.Error)
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(a.after, b.after) })
	return all
}

// titled adds the handler's line.
func titled(what string, n Note) string {
	if n.Line == "" {
		return what
	}
	return what + "  at " + n.Line
}

// answerIn is what of an answer tells most: the entity's id.
func answerIn(c dispatch.Call) string {
	var answer map[string]struct {
		ID string `json:"id"`
	}
	if c.Effect && json.Unmarshal(c.Output, &answer) == nil {
		for _, entity := range answer {
			if entity.ID != "" {
				return entity.ID
			}
		}
	}
	if text := string(c.Output); text != "{}" {
		return brief(text)
	}
	return ""
}

func outcome(r dispatch.Recording) string {
	text := string(r.Decision)
	if r.Error != "" {
		text += ": " + brief(r.Error)
	}
	return text
}

// frames are the lines of a stack that lead to the panic.
func frames(stack string) []string {
	_, stack, found := strings.Cut(stack, "\npanic(")
	if !found {
		return nil
	}
	var all []string
	for line := range strings.Lines(stack) {
		if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, "\t") && !strings.Contains(line, "/runtime/") {
			place, _, _ := strings.Cut(strings.TrimSpace(line), " +0x")
			all = append(all, "at "+place)
		}
	}
	return all[:min(len(all), 6)]
}

// Marks of differences, as in other diffs.
var marks = map[string]string{"changed": "~", "gone": "-", "new": "+", "moved": ">"}

// PrintDifferences shows people what is not as it was.
func (s Shadowed) PrintDifferences(out io.Writer, differences []Difference) error {
	var text strings.Builder
	fmt.Fprintln(&text, s.heading())
	for _, d := range differences {
		fmt.Fprintf(&text, "  %s %s", marks[d.Kind], d.What)
		if d.Kind == "moved" {
			fmt.Fprint(&text, "  (at another place in the order)")
		}
		fmt.Fprintln(&text)
		longest := 0
		for _, f := range d.Fields {
			longest = max(longest, utf8.RuneCountInString(f.Path))
		}
		for _, f := range d.Fields {
			value := brief(f.Then + f.Now) // one of them
			if d.Kind == "changed" {
				then, now := apart(f.Then, f.Now)
				value = cmp.Or(then, "(nothing)") + " → " + cmp.Or(now, "(nothing)")
			}
			fmt.Fprintf(&text, "      %s\n", strings.TrimSpace(fmt.Sprintf("%-*s  %s", longest, f.Path, value)))
		}
	}
	_, err := fmt.Fprintln(out, text.String())
	return err
}

// apart cuts two long values to where they begin to differ.
func apart(a, b string) (string, string) {
	if len(a) <= width/2 && len(b) <= width/2 {
		return brief(a), brief(b)
	}
	common := 0
	for common < len(a) && common < len(b) && a[common] == b[common] {
		common++
	}
	const context = 20
	if common <= context {
		return cut(a, width/2), cut(b, width/2)
	}
	from := common - context
	for from > 0 && !utf8.RuneStart(a[from]) {
		from--
	}
	return "…" + cut(a[from:], width/2), "…" + cut(b[from:], width/2)
}

// wrapped cuts a text to a few lines.
func wrapped(text string) (lines []string) {
	const most = 4
	for runes := []rune(cut(text, most*width)); len(runes) > 0; {
		n := min(len(runes), width)
		if len(runes) == width+1 {
			n++ // no line of an ellipsis alone
		}
		lines = append(lines, string(runes[:n]))
		runes = runes[n:]
	}
	return lines
}

func brief(text string) string { return cut(text, width) }

// cut makes text from elsewhere fit to be a part of a line.
func cut(text string, n int) string {
	if len(text) > 8*n { // what is cut off need not be looked at
		text = strings.ToValidUTF8(text[:8*n], "")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n]) + "…"
}
