package linear_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/linear"
)

// sent is a request as it arrived.
type sent struct {
	Name      string `json:"operationName"`
	Variables struct {
		ID    string          `json:"id"`
		Input json.RawMessage `json:"input"`
	} `json:"variables"`
}

func arrived(t *testing.T, requests []fake.Request) []sent {
	t.Helper()
	all := make([]sent, len(requests))
	for i, r := range requests {
		if r.Method != http.MethodPost || r.Path != "/graphql" {
			t.Errorf("%s %s", r.Method, r.Path)
		}
		if err := json.Unmarshal([]byte(r.Body), &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func names(t *testing.T, requests []fake.Request) string {
	t.Helper()
	var all []string
	for _, one := range arrived(t, requests) {
		all = append(all, one.Name)
	}
	return strings.Join(all, " ")
}

func onIssue(payload any) handlerstest.Message {
	return handlerstest.Message{Payload: payload, Conversation: client.Tags{"issueId": issueID}}
}

func TestEveryTypeOfMessageIsAComment(t *testing.T) {
	t.Parallel()
	item := events.BlocItem{Type: "image", Payload: json.RawMessage(`{"imageUrl":"https://x/b.png"}`)}
	for name, tc := range map[string]struct {
		payload events.Payload
		body    string
	}{
		"text":     {events.Text{Text: "Hi <there> \"you\" \\ é 🚢"}, "Hi <there> \"you\" \\ é 🚢"},
		"markdown": {events.Markdown{Markdown: "# Hi"}, "# Hi"},
		"image":    {events.Image{ImageURL: "https://x/a.png", Caption: "A"}, "![A](https://x/a.png)\n\nA"},
		"audio":    {events.Audio{AudioURL: "https://x/a.mp3"}, "[Audio](https://x/a.mp3)"},
		"video":    {events.Video{VideoURL: "https://x/a.mp4"}, "[Video](https://x/a.mp4)"},
		"file":     {events.File{FileURL: "https://x/a.pdf", Title: "Plan"}, "[Plan](https://x/a.pdf)"},
		"location": {events.Location{Latitude: 1, Longitude: 2}, "[1, 2](https://www.openstreetmap.org/?mlat=1&mlon=2#map=16/1/2)"},
		"card":     {events.Card{Title: "A", Actions: []events.CardAction{{Action: "say", Label: "B", Value: "b"}}}, "**A**\n\n- B"},
		"carousel": {events.Carousel{Items: []events.Card{{Title: "A", Actions: []events.CardAction{}}, {Title: "B", Actions: []events.CardAction{}}}}, "**A**\n\n---\n\n**B**"},
		"choice":   {events.Choice{Text: "Q", Options: []events.Option{{Label: "A", Value: "a"}, {Label: "B", Value: "b"}}}, "Q\n\n1. A\n2. B"},
		"dropdown": {events.Dropdown{Text: "Q", Options: []events.Option{{Label: "A", Value: "a"}}}, "Q\n\n1. A"},
		"bloc":     {events.Bloc{Items: []events.BlocItem{{Type: "text", Payload: json.RawMessage(`{"text":"a"}`)}, item}}, "a\n\n![](https://x/b.png)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(onIssue(tc.payload))
			if o.Err != nil || len(o.Acks) != 1 || o.Message.Status != client.Sent {
				t.Fatalf("%v, acks %v, %s", o.Err, o.Acks, o.Message.Status)
			}
			all := arrived(t, o.Requests)
			want, err := json.Marshal(map[string]string{"id": o.Acks[0]["commentId"], "issueId": issueID, "body": tc.body})
			if err != nil || len(all) != 1 {
				t.Fatal(err, len(all))
			}
			if diff := cmp.Diff(decoded(t, string(want)), decoded(t, string(all[0].Variables.Input))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// decoded is what JSON says, whatever the order of its fields.
func decoded(t *testing.T, raw string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(raw), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestThreadIsAnsweredInside(t *testing.T) {
	t.Parallel()
	m := onIssue(events.Text{Text: "a"})
	m.Tags = client.Tags{"threadId": "c0"}
	o := install(t).Send(m)
	if o.Err != nil || !strings.Contains(string(arrived(t, o.Requests)[0].Variables.Input), `"parentId":"c0"`) {
		t.Error(o.Err, o.Requests)
	}
}

func TestLongTextIsOneWholeComment(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789 é🚢 ", 10_000/15+1)
	o := install(t).Send(onIssue(events.Text{Text: text}))
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	var input struct {
		Body string `json:"body"`
	}
	all := arrived(t, o.Requests)
	if err := json.Unmarshal(all[0].Variables.Input, &input); err != nil || len(all) != 1 || input.Body != text {
		t.Errorf("%v: %d requests, %d bytes of %d", err, len(all), len(input.Body), len(text))
	}
}

func TestNothingIsPostedTwice(t *testing.T) {
	t.Parallel()
	const create, find = "CreateComment", "FindComment"
	for name, tc := range map[string]struct {
		rule fake.Rule
		want []string // the requests of all attempts
	}{
		"the answer is lost":       {fake.Rule{AfterAccept: true, Times: 1}, []string{create, find}},
		"the answer is an error":   {fake.Rule{AfterAccept: true, Status: 502, Times: 1}, []string{create, find}},
		"it never came":            {fake.Rule{Reset: true, Times: 1}, []string{create, find, create}},
		"Linear was not well":      {fake.Rule{Status: 503, Times: 1}, []string{create, find, create}},
		"neither is it the second": {fake.Rule{AfterAccept: true, Times: 2}, []string{create, find, find}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Send(onIssue(events.Text{Text: "a"}))
			for o.Verdict.Decision == handlers.Retry {
				o = kit.Retry(o)
			}
			if o.Err != nil || len(o.Acks) != 1 || o.Acks[0]["commentId"] == "" {
				t.Fatalf("%v, acks %v", o.Err, o.Acks)
			}
			all := kit.Requests()
			if diff := cmp.Diff(strings.Join(tc.want, " "), names(t, all)); diff != "" {
				t.Error(diff)
			}
			created := 0
			for i, one := range arrived(t, all) {
				if one.Name == "CreateComment" && all[i].Accepted {
					created++
				}
			}
			if created != 1 {
				t.Errorf("%d comments", created)
			}
		})
	}
}

// What is sent again from the beginning, as a dead letter is, finds its id taken
// at the first attempt.
func TestIdThatIsTakenIsDone(t *testing.T) {
	t.Parallel()
	taken := fake.Rule{AfterAccept: true, Times: 1, Status: 400,
		Body: `{"errors":[{"message":"taken","extensions":{"type":"invalid input","code":"INPUT_ERROR"}}]}`}
	kit := install(t)
	kit.Script(taken)
	if o := kit.Send(onIssue(events.Text{Text: "a"})); o.Err != nil || len(o.Acks) != 1 || names(t, o.Requests) != "CreateComment FindComment" {
		t.Errorf("%v, acks %v, requests %s", o.Err, o.Acks, names(t, o.Requests))
	}
	kit = install(t)
	kit.Script(taken)
	made := kit.Action("createIssue", linear.CreateIssue{TeamID: "t1", Title: "a"})
	if made.Err != nil || names(t, made.Requests) != "CreateIssue FindIssue" {
		t.Fatalf("%v, requests %s", made.Err, names(t, made.Requests))
	}
	again := kit.Retry(made)
	if again.Err != nil || names(t, again.Requests) != "FindIssue" || string(made.Action.Output) != string(again.Action.Output) {
		t.Errorf("%v: %s, then %s", again.Err, made.Action.Output, again.Action.Output)
	}
}

func TestIssueIsCreated(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Action("createIssue", linear.CreateIssue{TeamID: "t1", Title: "Rope", Description: "short", Priority: 1, LabelIDs: []string{"l1"}})
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	var made linear.Created
	if err := json.Unmarshal(o.Action.Output, &made); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(linear.Created{ID: made.ID, Identifier: "TOW-43", Title: "Rope", URL: "https://linear.app/towpath/issue/TOW-43"}, made); diff != "" || len(made.ID) != 36 {
		t.Error(made.ID, diff)
	}
	want := fmt.Sprintf(`{"id":%q,"teamId":"t1","title":"Rope","description":"short","priority":1,"labelIds":["l1"]}`, made.ID)
	if diff := cmp.Diff(decoded(t, want), decoded(t, string(arrived(t, o.Requests)[0].Variables.Input))); diff != "" {
		t.Error(diff)
	}
}

func TestActionRefuses(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for _, input := range []string{`{}`, `{"teamId":"t1"}`, `{"teamId":"t1","title":"a","team":"x"}`, `{"teamId":"t1","title":""}`, `{"teamId":"t1","title":"a","priority":9}`} {
		if o := kit.Action("createIssue", input); o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("%s: %+v", input, o.Verdict)
		}
	}
}

func TestEmptyMessageIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, payload := range []events.Payload{
		events.Text{}, events.Bloc{Items: []events.BlocItem{}}, events.Bloc{Items: []events.BlocItem{{Type: "hologram", Payload: json.RawMessage("{}")}}},
	} {
		if o := install(t).Send(onIssue(payload)); o.Verdict.Decision != handlers.GiveUp || len(o.Requests) != 0 || o.Message.Status != client.Failed {
			t.Errorf("%+v: %+v", payload, o.Verdict)
		}
	}
}

func TestJudgement(t *testing.T) {
	t.Parallel()
	began := time.Now()
	in := func(d time.Duration) string { return strconv.FormatInt(began.Add(d).UnixMilli(), 10) }
	refusal := func(status int, typ, code string, headers map[string]string) fake.Rule {
		return fake.Rule{Status: status, Headers: headers, Body: `{"data":null,"errors":[{"message":"no ` + apiKey + `","extensions":{"type":"` +
			typ + `","code":"` + code + `","userPresentableMessage":"Because."}}]}`}
	}
	for name, tc := range map[string]struct {
		rule  fake.Rule
		want  handlers.Decision
		after time.Duration // from the beginning of the test on
		told  string
	}{
		"limited, with Retry-After": {refusal(400, "ratelimited", "RATELIMITED", map[string]string{"Retry-After": "17"}), handlers.Retry, 17 * time.Second, ""},
		"limited by requests": {refusal(400, "ratelimited", "RATELIMITED", map[string]string{
			"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": in(90 * time.Second),
			"X-RateLimit-Complexity-Remaining": "12", "X-RateLimit-Complexity-Reset": in(time.Hour),
		}), handlers.Retry, 90 * time.Second, ""},
		"limited by both": {refusal(400, "ratelimited", "RATELIMITED", map[string]string{
			"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": in(90 * time.Second),
			"X-RateLimit-Complexity-Remaining": "0", "X-RateLimit-Complexity-Reset": in(200 * time.Second),
		}), handlers.Retry, 200 * time.Second, ""},
		"limited, told by the code":     {refusal(200, "", "RATELIMITED", map[string]string{"Retry-After": "3"}), handlers.Retry, 3 * time.Second, ""},
		"limited, without a time":       {refusal(400, "ratelimited", "RATELIMITED", nil), handlers.Retry, 0, ""},
		"limited, by status alone":      {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "5"}}, handlers.Retry, 5 * time.Second, ""},
		"internal error":                {refusal(200, "internal error", "INTERNAL_SERVER_ERROR", nil), handlers.Retry, 0, ""},
		"network error":                 {refusal(400, "network error", "", nil), handlers.Retry, 0, ""},
		"lock timeout":                  {refusal(400, "lock timeout", "", nil), handlers.Retry, 0, ""},
		"a new word":                    {refusal(200, "surprise", "SURPRISE", nil), handlers.Retry, 0, ""},
		"broken":                        {fake.Rule{Status: 500, Body: "<html>"}, handlers.Retry, 0, ""},
		"unavailable":                   {fake.Rule{Status: 503}, handlers.Retry, 0, ""},
		"reset":                         {fake.Rule{Reset: true}, handlers.Retry, 0, ""},
		"no JSON":                       {fake.Rule{Status: 200, Body: "ok"}, handlers.Retry, 0, ""},
		"nothing of Linear's":           {fake.Rule{Status: 200, Body: "{}"}, handlers.Retry, 0, ""},
		"not a success":                 {fake.Rule{Status: 200, Body: `{"data":{"commentCreate":{"success":false}}}`}, handlers.Retry, 0, ""},
		"authentication error":          {refusal(400, "authentication error", "AUTHENTICATION_ERROR", nil), handlers.Pause, 0, "Linear refuses the credentials: Because."},
		"authentication error, 200":     {refusal(200, "authentication error", "AUTHENTICATION_ERROR", nil), handlers.Pause, 0, "credentials"},
		"unauthorized, by status alone": {fake.Rule{Status: 401}, handlers.Pause, 0, "credentials"},
		"invalid input":                 {refusal(200, "invalid input", "INPUT_ERROR", nil), handlers.GiveUp, 0, "Linear refuses the request: Because."},
		"user error":                    {refusal(400, "user error", "", nil), handlers.GiveUp, 0, "Because."},
		"forbidden":                     {refusal(400, "forbidden", "FORBIDDEN", nil), handlers.GiveUp, 0, "Because."},
		"feature not accessible":        {refusal(400, "feature not accessible", "", nil), handlers.GiveUp, 0, "Because."},
		"graphql error":                 {refusal(400, "graphql error", "GRAPHQL_VALIDATION_FAILED", nil), handlers.GiveUp, 0, "Because."},
		"usage limit exceeded":          {refusal(400, "usage limit exceeded", "", nil), handlers.GiveUp, 0, "Because."},
		"a new word, by status":         {refusal(400, "surprise", "", nil), handlers.GiveUp, 0, "Because."},
		"no such address":               {fake.Rule{Status: 404}, handlers.GiveUp, 0, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Send(onIssue(events.Text{Text: "a"}))
			if o.Verdict.Decision != tc.want || !strings.Contains(o.Verdict.Message, tc.told) {
				t.Errorf("%v is judged %+v, want %s, told %q", o.Err, o.Verdict, tc.want, tc.told)
			}
			if short := tc.after - o.Verdict.After; short < 0 || short > time.Since(began)+time.Second {
				t.Errorf("tried again after %s, want %s", o.Verdict.After, tc.after)
			}
			if len(o.Acks) > 0 {
				t.Errorf("acked what was not taken: %v", o.Acks)
			}
		})
	}
}

func TestHangingAPIIsAmbiguous(t *testing.T) {
	t.Parallel()
	kit := handlerstest.Start(t, handlerstest.Config{
		Integration: linear.Integration, Timeout: 50 * time.Millisecond,
		Configuration: `{"apiKey":"` + apiKey + `","webhookSigningSecret":"` + signingSecret + `"}`,
	})
	kit.Script(fake.Rule{Hang: true})
	if o := kit.Send(onIssue(events.Text{Text: "a"})); o.Verdict.Decision != handlers.Retry || !o.Ambiguous {
		t.Errorf("verdict is %+v, ambiguous: %v", o.Verdict, o.Ambiguous)
	}
}
