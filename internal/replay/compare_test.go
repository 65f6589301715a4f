package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

var (
	thenBegan = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	nowBegan  = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
)

// ran is a recording of calls and requests, one after the other. A call is
// "operation input" and a request "POST url body".
func ran(began time.Time, steps ...string) dispatch.Recording {
	r := dispatch.Recording{Delivery: "dlv_1", Began: began, Took: time.Second, Decision: handlers.Done}
	for i, step := range steps {
		name, rest, _ := strings.Cut(step, " ")
		after := time.Duration(i) * 10 * time.Millisecond
		if strings.ToUpper(name) == name {
			url, body, _ := strings.Cut(rest, " ")
			r.Exchanges = append(r.Exchanges, dispatch.Exchange{Method: name, URL: url, Body: body, Status: 200, After: after, Took: time.Millisecond})
			continue
		}
		input, output, _ := strings.Cut(rest, " => ")
		r.Calls = append(r.Calls, dispatch.Call{
			Operation: name, Effect: !strings.HasPrefix(name, "get"), Input: json.RawMessage(input), Output: json.RawMessage(output),
			After: after, Took: time.Millisecond,
		})
	}
	return r
}

// told lists differences in short.
func told(differences []replay.Difference) (all []string) {
	for _, d := range differences {
		text := d.Kind + " " + d.What
		if d.Kind == "changed" {
			text += fmt.Sprint(d.Fields)
		}
		all = append(all, text)
	}
	return all
}

func TestWhatComesOutOtherwiseIsTold(t *testing.T) {
	t.Parallel()
	const (
		a, b, c = `createEvent {"type":"a","n":1}`, `createEvent {"type":"b"}`, `createMessage {"type":"text"}`
		one     = "0193b5a1-7c2e-7d3b-9c55-4a1f0e9d8b7c"
		two     = "0193b9ff-0000-7aaa-8bbb-1234567890ab"
	)
	for name, test := range map[string]struct{ then, now, want []string }{
		"the same":            {[]string{a, b, c}, []string{a, b, c}, nil},
		"keys in any order":   {[]string{`setState {"a":1,"b":2}`}, []string{`setState {"b":2, "a":1}`}, nil},
		"one gone":            {[]string{a, b, c}, []string{a, c}, []string{"gone createEvent b"}},
		"one new":             {[]string{a, c}, []string{a, b, c}, []string{"new createEvent b"}},
		"one changed":         {[]string{a, b}, []string{`createEvent {"type":"a","n":2}`, b}, []string{"changed createEvent a[{n 1 2}]"}},
		"a field more":        {[]string{b}, []string{`createEvent {"type":"b","x":"y"}`}, []string{`changed createEvent b[{x  "y"}]`}},
		"another place":       {[]string{a, b, c}, []string{b, c, a}, []string{"moved createEvent a"}},
		"the same twice":      {[]string{a, a}, []string{a}, []string{"gone createEvent a"}},
		"reads do not count":  {[]string{`getUser {"id":"1"}`, a}, []string{a}, nil},
		"GETs do not count":   {[]string{"GET http://x/a"}, nil, nil},
		"a request's body":    {[]string{`POST http://x/a {"t":"one"}`}, []string{`POST http://x/a {"t":"two"}`}, []string{`changed POST http://x/a[{body.t "one" "two"}]`}},
		"a request's host":    {[]string{`POST http://x/a`}, []string{`POST http://y/a`}, []string{`changed POST http://x/a[{url "http://x/a" "http://y/a"}]`}},
		"a list":              {[]string{`setState {"a":[1,2]}`}, []string{`setState {"a":[1,3,4]}`}, []string{"changed setState[{a[1] 2 3} {a[2]  4}]"}},
		"an id made fresh":    {[]string{`setState {"a":"x-` + one + `"}`}, []string{`setState {"a":"x-` + two + `"}`}, nil},
		"an id that was told": {[]string{`getUser {} => {"id":"` + one + `"}`, `setState {"a":"` + one + `"}`}, []string{`getUser {} => {"id":"` + one + `"}`, `setState {"a":"` + two + `"}`}, []string{`changed setState[{a "` + one + `" "` + two + `"}]`}},
		"the time":            {[]string{`setState {"at":"2026-11-20T10:00:00.5Z","ms":1795168800100}`}, []string{`setState {"at":"2026-11-21T09:30:00.25Z","ms":1795253400200}`}, nil},
		"an hour later":       {[]string{`setState {"at":"2026-11-20T11:00:00Z"}`}, []string{`setState {"at":"2026-11-21T10:30:00Z"}`}, nil},
		"a day, not an hour":  {[]string{`setState {"at":"2026-11-20T11:00:00Z"}`}, []string{`setState {"at":"2026-11-22T09:30:00Z"}`}, []string{`changed setState[{at "2026-11-20T11:00:00Z" "2026-11-22T09:30:00Z"}]`}},
		"a form's boundary":   {[]string{"POST http://x/a --4a1f0e9d8b7c4a1f0e9d8b7c\nhello"}, []string{"POST http://x/a --9d8b7c4a1f0e9d8b7c4a1f0e\nhello"}, nil},
		"words that are long": {[]string{`setState {"a":"unbelievably"}`}, []string{`setState {"a":"incomparably"}`}, []string{`changed setState[{a "unbelievably" "incomparably"}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			then := ran(thenBegan, test.then...)
			got := told(replay.Shadowed{Then: &then, Now: ran(nowBegan, test.now...)}.Compare())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTheOrderOfWhatWasDoneAtOnceMeansNothing(t *testing.T) {
	t.Parallel()
	then := ran(thenBegan, `createEvent {"type":"a"}`, `createEvent {"type":"b"}`)
	then.Calls[0].Took = 15 * time.Millisecond // b began meanwhile
	now := ran(nowBegan, `createEvent {"type":"b"}`, `createEvent {"type":"a"}`)
	if got := told((replay.Shadowed{Then: &then, Now: now}).Compare()); got != nil {
		t.Errorf("told %v", got)
	}
}

func TestTheEndOfAnAttemptIsComparedToo(t *testing.T) {
	t.Parallel()
	then, now := ran(thenBegan), ran(nowBegan)
	then.Response = &events.Response{Header: http.Header{"X-A": {"1"}}, Body: []byte(`{"ok":true}`)}
	now.Response = &events.Response{Status: 500, Body: []byte(`{"ok":false}`)}
	now.Decision, now.Error = handlers.Retry, "no"
	then.Calls = []dispatch.Call{{Operation: "createEvent", Effect: true, Input: json.RawMessage(`{}`)}}
	now.Calls = []dispatch.Call{{Operation: "createEvent", Effect: true, Input: json.RawMessage(`{}`), Error: client.NewError(client.InvalidPayload, "no")}}
	shadowed := replay.Shadowed{Delivery: "dlv_1", Then: &then, Now: now}
	differences := shadowed.Compare()
	want := []string{
		`changed createEvent[{  refused: InvalidPayload: no}]`,
		`changed answer[{body.ok true false} {headers.x-a "1" } {status 200 500}]`,
		`changed decision[{ "done" "retry"} {error  "no"}]`,
	}
	if diff := cmp.Diff(want, told(differences)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var text bytes.Buffer
	if err := shadowed.PrintDifferences(&text, differences); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"  ~ answer\n", "      status       200 → 500\n", `      headers.x-a  "1" → (nothing)`, `      "done" → "retry"`} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is missing in:\n%s", part, text.String())
		}
	}
}

func TestLongValuesAreShownFromWhereTheyDiffer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("as it was, ", 50)
	then, now := ran(thenBegan, `setState {"a":"`+long+`one"}`), ran(nowBegan, `setState {"a":"`+long+`two"}`)
	shadowed := replay.Shadowed{Then: &then, Now: now}
	var text bytes.Buffer
	if err := shadowed.PrintDifferences(&text, shadowed.Compare()); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, `s, as it was, one" → …`) || len(got) > 300 {
		t.Errorf("shown as\n%s", got)
	}
}

func FuzzWhatIsTheSameNeverDiffers(f *testing.F) {
	for _, seed := range []string{"", `{"a":[1,{"b":null}]}`, "2026-11-20T10:00:00Z 1795168800100", "0193b5a1-7c2e-7d3b-9c55-4a1f0e9d8b7c", "--x\r\n\xff"} {
		f.Add(seed, `{"a":1}`)
	}
	f.Fuzz(func(t *testing.T, body, other string) {
		then := dispatch.Recording{Began: thenBegan, Exchanges: []dispatch.Exchange{{Method: "POST", URL: "/", Body: body, Status: 200}}}
		now := then
		now.Began = nowBegan
		if got := (replay.Shadowed{Then: &then, Now: now}).Compare(); len(got) > 0 {
			t.Errorf("%q differs from itself: %v", body, got)
		}
		now.Exchanges = []dispatch.Exchange{{Method: "POST", URL: "/", Body: other, Status: 200}}
		there := len((replay.Shadowed{Then: &then, Now: now}).Compare())
		back := then
		if here := len((replay.Shadowed{Then: &now, Now: back}).Compare()); here != there {
			t.Errorf("%q and %q differ %d times one way and %d the other", body, other, there, here)
		}
	})
}
