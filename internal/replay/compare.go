package replay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/dispatch"
)

// Difference is one thing that a handler does otherwise now than then.
type Difference struct {
	// Kind is "changed", "gone", "new" or "moved".
	Kind string `json:"kind"`
	// What names it: an operation and what it was about, a request to the
	// platform, or "answer" and "decision".
	What   string  `json:"what"`
	Fields []Field `json:"fields,omitempty"` // that changed; all of it when gone or new
}

// Field is one value in a Difference. Path is empty for the value itself; a
// value that is not there is empty.
type Field struct {
	Path string `json:"path,omitempty"`
	Then string `json:"then,omitempty"`
	Now  string `json:"now,omitempty"`
}

// deed is one thing that a handler did to others.
type deed struct {
	kind     string // deeds of one kind are compared with each other
	what     string
	value    any
	failed   string // why it was not done, as "refused: …"
	from, to time.Duration
}

// beside tells what was done at the same time.
func (d *deed) beside(other deed) bool {
	self := d.from == other.from && d.what == other.what
	return !self && other.from < d.to && d.from < other.to
}

// Compare returns what differs in what the two runs did to others: effects,
// requests that change something, the answer, and the decision. What they only
// read does not count. There must be a recording of then.
func (s Shadowed) Compare() []Difference {
	v := versus{newSide(s.event, *s.Then), newSide(s.event, s.Now)}
	then, now := deeds(*s.Then), deeds(s.Now)
	differences := v.align(then, now)
	for _, end := range []struct {
		what      string
		then, now any
	}{
		{"answer", answered(*s.Then), answered(s.Now)},
		{"decision", decided(*s.Then), decided(s.Now)},
	} {
		if fields := v.fields("", end.then, end.now, nil); len(fields) > 0 {
			differences = append(differences, Difference{Kind: "changed", What: end.what, Fields: fields})
		}
	}
	return differences
}

func answered(r dispatch.Recording) any {
	if r.Response == nil {
		return map[string]any{}
	}
	headers := map[string]any{}
	for name, values := range r.Response.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return map[string]any{"status": cmp.Or(r.Response.Status, http.StatusOK), "headers": headers, "body": textual(string(r.Response.Body))}
}

func decided(r dispatch.Recording) any {
	value := map[string]any{"": string(r.Decision)}
	if r.Error != "" {
		value["error"] = r.Error
	}
	return value
}

// textual is a text's JSON value, if it has one that is more than a word.
func textual(text string) any {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		if value, err := decodeJSON([]byte(trimmed)); err == nil {
			return value
		}
	}
	return text
}

// deeds lists what a run did to others, in the order in which it began.
func deeds(r dispatch.Recording) []deed {
	var all []deed
	for _, c := range r.Calls {
		if !c.Effect {
			continue
		}
		value, _ := decodeJSON(c.Input)
		failed := ""
		if c.Error != nil {
			failed = "refused: " + string(c.Error.Type) + ": " + c.Error.Message
		}
		all = append(all, deed{c.Operation, describeCall(c), value, failed, c.After, c.After + c.Took})
	}
	for _, e := range r.Exchanges {
		if e.Method == http.MethodGet || e.Method == http.MethodHead {
			continue
		}
		value := map[string]any{"url": e.URL, "body": textual(e.Body)}
		failed := ""
		if e.Status == 0 {
			failed = "no answer: " + e.Error
		}
		all = append(all, deed{e.Method + " " + pathOf(e.URL), e.Method + " " + e.URL, value, failed, e.After, e.After + e.Took})
	}
	slices.SortStableFunc(all, func(a, b deed) int { return cmp.Compare(a.from, b.from) })
	return all
}

// describeCall names a call by its operation and what tells it from others.
func describeCall(c dispatch.Call) string {
	var about struct {
		Type    string `json:"type"`
		ID      string `json:"id"`
		Channel string `json:"channel"`
		Name    string `json:"name"`
	}
	_ = json.Unmarshal(c.Input, &about)
	if detail := cmp.Or(about.Name, about.Type, about.Channel, about.ID); detail != "" {
		return c.Operation + " " + detail
	}
	return c.Operation
}

// align lays two lists of deeds side by side: first what is the same, as much
// of it as can be without changing the order, then what is alike in between.
func (v versus) align(then, now []deed) []Difference {
	same := make([][]int, len(then)+1) // of the longest common rest
	same[len(then)] = make([]int, len(now)+1)
	equal := make([][]bool, len(then))
	for i := len(then) - 1; i >= 0; i-- {
		same[i], equal[i] = make([]int, len(now)+1), make([]bool, len(now))
		for j := len(now) - 1; j >= 0; j-- {
			if equal[i][j] = v.alike(then[i], now[j]); equal[i][j] {
				same[i][j] = 1 + same[i+1][j+1]
			} else {
				same[i][j] = max(same[i+1][j], same[i][j+1])
			}
		}
	}
	var changes []change
	var gone, added []deed
	flush := func() {
		changes = append(changes, pair(gone, added)...)
		gone, added = nil, nil
	}
	i, j := 0, 0
	for i < len(then) || j < len(now) {
		switch {
		case i < len(then) && j < len(now) && equal[i][j]:
			flush()
			i, j = i+1, j+1
		case j == len(now) || i < len(then) && same[i+1][j] >= same[i][j+1]:
			gone = append(gone, then[i])
			i++
		default:
			added = append(added, now[j])
			j++
		}
	}
	flush()
	return v.differences(v.moves(changes, then))
}

// change is a deed of then, one of now, or both.
type change struct{ then, now *deed }

func (v versus) alike(then, now deed) bool {
	return then.kind == now.kind && len(v.between(&then, &now)) == 0
}

// pair finds for what was done what is done in its place.
func pair(gone, added []deed) []change {
	var changes []change
	for _, then := range gone {
		at := slices.IndexFunc(added, func(now deed) bool { return now.kind == then.kind })
		for _, now := range added[:max(at, 0)] {
			changes = append(changes, change{now: &now})
		}
		if at < 0 {
			changes = append(changes, change{then: &then})
			continue
		}
		changes = append(changes, change{&then, &added[at]})
		added = added[at+1:]
	}
	for _, now := range added {
		changes = append(changes, change{now: &now})
	}
	return changes
}

// moves finds what is gone in one place and new in another. Of what a handler
// did at the same time as something else the order means nothing.
func (v versus) moves(changes []change, then []deed) []change {
	for i := range changes {
		was := changes[i].then
		if was == nil || changes[i].now != nil {
			continue
		}
		at := slices.IndexFunc(changes, func(c change) bool { return c.then == nil && c.now != nil && v.alike(*was, *c.now) })
		if at < 0 {
			continue
		}
		changes[i].now, changes[at].now = changes[at].now, nil
		if slices.ContainsFunc(then, was.beside) {
			changes[i] = change{}
		}
	}
	return slices.DeleteFunc(changes, func(c change) bool { return c == change{} })
}

func (v versus) differences(changes []change) []Difference {
	var all []Difference
	for _, c := range changes {
		var d Difference
		switch {
		case c.then == nil:
			d = Difference{"new", c.now.what, v.between(nil, c.now)}
		case c.now == nil:
			d = Difference{"gone", c.then.what, v.between(c.then, nil)}
		default:
			d = Difference{"changed", c.then.what, v.between(c.then, c.now)}
			if len(d.Fields) == 0 {
				d.Kind = "moved"
			}
		}
		all = append(all, d)
	}
	return all
}

// between returns where two deeds differ. Either may be nil.
func (v versus) between(then, now *deed) []Field {
	var a, b deed
	if then != nil {
		a = *then
	}
	if now != nil {
		b = *now
	}
	found := v.fields("", a.value, b.value, nil)
	if !v.same(a.failed, b.failed) {
		found = append(found, Field{"", a.failed, b.failed})
	}
	return found
}

// fields walks two values and returns where they differ.
func (v versus) fields(path string, then, now any, found []Field) []Field {
	thenFields, thenOK := then.(map[string]any)
	nowFields, nowOK := now.(map[string]any)
	if thenOK && nowOK || thenOK && now == nil || nowOK && then == nil {
		names := map[string]bool{}
		for name := range thenFields {
			names[name] = true
		}
		for name := range nowFields {
			names[name] = true
		}
		sorted := make([]string, 0, len(names))
		for name := range names {
			sorted = append(sorted, name)
		}
		slices.Sort(sorted)
		for _, name := range sorted {
			found = v.fields(strings.Trim(path+"."+name, "."), thenFields[name], nowFields[name], found)
		}
		return found
	}
	thenList, thenOK := then.([]any)
	nowList, nowOK := now.([]any)
	if thenOK && nowOK {
		for i := range max(len(thenList), len(nowList)) {
			var a, b any
			if i < len(thenList) {
				a = thenList[i]
			}
			if i < len(nowList) {
				b = nowList[i]
			}
			found = v.fields(fmt.Sprintf("%s[%d]", path, i), a, b, found)
		}
		return found
	}
	a, b := written(then), written(now)
	if !v.same(a, b) {
		found = append(found, Field{path, a, b})
	}
	return found
}

// written is a value as one would write it; nothing for what is not there.
func written(value any) string {
	if value == nil {
		return ""
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(text.String())
}
