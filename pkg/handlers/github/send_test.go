package github_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/github"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

const comments = "/repos/towpath/example/issues/7/comments"

// posted returns the comments that the platform took, without their marks.
func posted(t *testing.T, requests []fake.Request) []string {
	t.Helper()
	all := []string{}
	for _, r := range requests {
		if r.Method != http.MethodPost || !r.Accepted {
			continue
		}
		var in struct {
			Body string `json:"body"`
		}
		if err := json.Unmarshal([]byte(r.Body), &in); err != nil || r.Path != comments {
			t.Fatal(err, r.Path)
		}
		text, mark, ok := strings.Cut(in.Body, "\n\n<!-- towpath ")
		if !ok || len(mark) != 85 || utf8.RuneCountInString(in.Body) > 65_536 {
			t.Errorf("%d characters, mark %q", utf8.RuneCountInString(in.Body), mark)
		}
		all = append(all, text)
	}
	return all
}

func say(payload any) handlerstest.Message {
	return handlerstest.Message{Payload: payload, Conversation: place}
}

func TestEveryTypeOfMessageIsAComment(t *testing.T) {
	t.Parallel()
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
		"bloc":     {events.Bloc{Items: []events.BlocItem{{Type: "text", Payload: json.RawMessage(`{"text":"a"}`)}}}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(say(tc.payload))
			if o.Err != nil || len(o.Requests) != 1 || o.Message.Status != client.Sent {
				t.Fatalf("%v, %v, %s", o.Err, o.Requests, o.Message.Status)
			}
			if diff := cmp.Diff([]string{tc.body}, posted(t, o.Requests)) + cmp.Diff([]client.Tags{{"commentId": "3000000001"}}, o.Acks); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// long is a text of at least so many characters, in words that tell where they
// stood. Towpath takes no more than 128 KiB in a message.
func long(n int) string {
	var text strings.Builder
	for i := 0; text.Len() < n+3; i++ {
		text.WriteString("rope " + strconv.Itoa(i) + " ")
		if i%20 == 0 {
			text.WriteString("é🚢\n")
		}
	}
	return text.String()
}

func TestLongTextArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{10_000: 1, 120_000: 2} {
		text := long(n)
		kit := install(t)
		o := kit.Send(say(events.Text{Text: text}))
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		parts := posted(t, o.Requests)
		if len(parts) != want || strings.Join(strings.Fields(strings.Join(parts, " ")), " ") != strings.Join(strings.Fields(text), " ") {
			t.Errorf("%d characters: %d comments, want %d, or not all of it", n, len(parts), want)
		}
		if again := kit.Retry(o); len(posted(t, again.Requests)) != 0 {
			t.Errorf("again: %d comments", len(posted(t, again.Requests)))
		}
	}
}

func TestNothingIsPostedTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		characters int
		rules      []fake.Rule
	}{
		"the answer is lost":             {10, []fake.Rule{{Method: http.MethodPost, AfterAccept: true, Times: 1}}},
		"the answer is an error":         {10, []fake.Rule{{Method: http.MethodPost, AfterAccept: true, Status: 502, Times: 1}}},
		"it never came":                  {10, []fake.Rule{{Method: http.MethodPost, Reset: true, Times: 1}}},
		"the list is not to be had":      {10, []fake.Rule{{Method: http.MethodPost, AfterAccept: true, Times: 1}, {Method: http.MethodGet, Status: 500, Times: 1}}},
		"the answer to the second":       {120_000, []fake.Rule{{Method: http.MethodPost, Delay: 1, Times: 1}, {Method: http.MethodPost, AfterAccept: true, Times: 1}}},
		"the second, of several, failed": {120_000, []fake.Rule{{Method: http.MethodPost, Delay: 1, Times: 1}, {Method: http.MethodPost, Status: 503, Times: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rules...)
			text := long(tc.characters)
			o := kit.Send(say(events.Text{Text: text}))
			if o.Verdict.Decision != handlers.Retry {
				t.Fatalf("verdict is %+v", o.Verdict)
			}
			for o.Verdict.Decision == handlers.Retry {
				o = kit.Retry(o)
			}
			if o.Err != nil || len(o.Acks) != 1 || o.Acks[0]["commentId"] != "3000000001" {
				t.Fatalf("%v, acks %v", o.Err, o.Acks)
			}
			if got := strings.Fields(strings.Join(posted(t, kit.Requests()), " ")); !cmp.Equal(strings.Fields(text), got) {
				t.Errorf("%d words arrived, of %d", len(got), len(strings.Fields(text)))
			}
		})
	}
}

// The own comments may stand on a later page, among those of others.
func TestEveryPageIsLookedThrough(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for range 150 {
		if status := call(t, kit, comments, "x", `{"body":"of somebody else"}`); status != http.StatusCreated {
			t.Fatal(status)
		}
	}
	kit.Script(fake.Rule{Method: http.MethodPost, AfterAccept: true, Times: 1})
	o := kit.Retry(kit.Send(say(events.Text{Text: "a"})))
	if o.Err != nil || len(o.Requests) != 2 || len(posted(t, o.Requests)) != 0 {
		t.Errorf("%v: %d requests", o.Err, len(o.Requests))
	}
}

func TestWhatCannotBeSentIsGivenUp(t *testing.T) {
	t.Parallel()
	text := events.Text{Text: "a"}
	for name, m := range map[string]handlerstest.Message{
		"nothing":              say(events.Text{}),
		"white space":          {Payload: events.Text{Text: ""}, Conversation: place},
		"an unknown item":      say(events.Bloc{Items: []events.BlocItem{{Type: "hologram", Payload: json.RawMessage("{}")}}}),
		"no repository":        {Payload: text, Conversation: client.Tags{"number": "7"}},
		"a way out of it":      {Payload: text, Conversation: client.Tags{"repository": "a/b/../..", "number": "7"}},
		"a number with a tail": {Payload: text, Conversation: client.Tags{"repository": "a/b", "number": "7/lock"}},
		"no number":            {Payload: text, Conversation: client.Tags{"repository": "a/b", "number": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if o := install(t).Send(m); o.Verdict.Decision != handlers.GiveUp || len(o.Requests) != 0 || o.Message.Status != client.Failed {
				t.Errorf("%v is judged %+v", o.Err, o.Verdict)
			}
		})
	}
	deaf := handlerstest.New(t, github.Integration, `{"webhookSecret":"s-12345678"}`)
	if o := deaf.Send(say(text)); o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, "no token") || len(o.Requests) != 0 {
		t.Errorf("without a token: %+v", o.Verdict)
	}
}

func TestJudgement(t *testing.T) {
	t.Parallel()
	began := time.Now()
	in := func(d time.Duration) string { return strconv.FormatInt(began.Add(d).Unix(), 10) }
	refusal := func(status int, message string, headers map[string]string) fake.Rule {
		return fake.Rule{Status: status, Headers: headers, Body: `{"message":"` + message + `","documentation_url":"https://docs.github.com"}`}
	}
	const secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
	for name, tc := range map[string]struct {
		rule  fake.Rule
		want  handlers.Decision
		after time.Duration // from the beginning of the test on
		told  string
	}{
		"primary limit": {refusal(403, "API rate limit exceeded", map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(90 * time.Second)}),
			handlers.Retry, 90 * time.Second, ""},
		"primary limit, 429": {refusal(429, "API rate limit exceeded", map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(90 * time.Second)}),
			handlers.Retry, 90 * time.Second, ""},
		"secondary limit":              {refusal(403, secondary, map[string]string{"Retry-After": "17", "X-RateLimit-Remaining": "4999"}), handlers.Retry, 17 * time.Second, ""},
		"secondary limit, 429":         {refusal(429, secondary, map[string]string{"Retry-After": "17"}), handlers.Retry, 17 * time.Second, ""},
		"secondary, without a time":    {refusal(403, secondary, map[string]string{"X-RateLimit-Remaining": "4999"}), handlers.Retry, time.Minute, ""},
		"abuse, as it was called":      {refusal(403, "You have triggered an abuse detection mechanism.", nil), handlers.Retry, time.Minute, ""},
		"too many":                     {fake.Rule{Status: 429}, handlers.Retry, 0, ""},
		"broken":                       {fake.Rule{Status: 500, Body: "<html>"}, handlers.Retry, 0, ""},
		"bad gateway":                  {fake.Rule{Status: 502}, handlers.Retry, 0, ""},
		"unavailable":                  {fake.Rule{Status: 503, Headers: map[string]string{"Retry-After": "5"}}, handlers.Retry, 5 * time.Second, ""},
		"reset":                        {fake.Rule{Reset: true}, handlers.Retry, 0, ""},
		"no JSON":                      {fake.Rule{Status: 201, Body: "ok"}, handlers.Retry, 0, ""},
		"nothing of GitHub's":          {fake.Rule{Status: 201, Body: "{}"}, handlers.Retry, 0, ""},
		"bad credentials":              {refusal(401, "Bad credentials", nil), handlers.Pause, 0, "GitHub refuses the credentials: Bad credentials"},
		"a token that is not enough":   {refusal(403, "Resource not accessible by personal access token", nil), handlers.GiveUp, 0, "not accessible"},
		"an organization's own rules":  {refusal(403, "Resource protected by organization SAML enforcement.", nil), handlers.GiveUp, 0, "SAML"},
		"a locked issue":               {refusal(403, "Unable to create comment because issue is locked.", nil), handlers.GiveUp, 0, "issue is locked"},
		"an archived repository":       {refusal(403, "Repository was archived so is read-only.", nil), handlers.GiveUp, 0, "archived"},
		"somebody who blocks the bot":  {refusal(403, "User is blocked", nil), handlers.GiveUp, 0, "blocked"},
		"no such issue":                {refusal(404, "Not Found", nil), handlers.GiveUp, 0, "Not Found: it is not there, or the token may not see it"},
		"issues that are gone":         {refusal(410, "Issues are disabled for this repo", nil), handlers.GiveUp, 0, "disabled"},
		"what GitHub does not like":    {fake.Rule{Status: 422, Body: `{"message":"Validation Failed","errors":[{"message":"body is too long"}]}`}, handlers.GiveUp, 0, "Validation Failed: body is too long"},
		"what GitHub cannot read":      {refusal(400, "Problems parsing JSON", nil), handlers.GiveUp, 0, "parsing"},
		"a repository that moved":      {fake.Rule{Status: 301, Headers: map[string]string{"Location": "/elsewhere"}}, handlers.GiveUp, 0, "apiUrl"},
		"what the law keeps from view": {refusal(451, "Repository access blocked", nil), handlers.GiveUp, 0, "blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Send(say(events.Text{Text: "a"}))
			if o.Verdict.Decision != tc.want || !strings.Contains(o.Verdict.Message, tc.told) || len(o.Requests) != 1 {
				t.Errorf("%v is judged %+v, want %s, told %q", o.Err, o.Verdict, tc.want, tc.told)
			}
			if short := tc.after - o.Verdict.After; short < 0 || short > time.Since(began)+2*time.Second {
				t.Errorf("tried again after %s, want %s", o.Verdict.After, tc.after)
			}
			if len(o.Acks) > 0 {
				t.Errorf("acked what was not taken: %v", o.Acks)
			}
		})
	}
}

// The comments of a message of several are looked through first, which may be
// refused as well.
func TestRepositoryThatIsForbiddenHoldsNothingUp(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(fake.Rule{Method: http.MethodGet, Status: 403, Body: `{"message":"Resource not accessible by personal access token"}`, Times: 1})
	if o := kit.Send(say(events.Text{Text: strings.Repeat("a", 70_000)})); o.Verdict.Decision != handlers.GiveUp || len(o.Requests) != 1 {
		t.Errorf("%v is judged %+v", o.Err, o.Verdict)
	}
	if o := kit.Send(say(events.Text{Text: "a"})); o.Err != nil || len(o.Acks) != 1 {
		t.Errorf("the next one: %v", o.Err)
	}
}

func TestHangingAPIIsAmbiguous(t *testing.T) {
	t.Parallel()
	kit := handlerstest.Start(t, handlerstest.Config{Integration: github.Integration, Configuration: configuration, Timeout: 50 * time.Millisecond})
	kit.Script(fake.Rule{Hang: true})
	if o := kit.Send(say(events.Text{Text: "a"})); o.Verdict.Decision != handlers.Retry || !o.Ambiguous {
		t.Errorf("verdict is %+v, ambiguous: %v", o.Verdict, o.Ambiguous)
	}
}

func TestFakeRefusesAsGitHubDoes(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for name, tc := range map[string]struct {
		path, token, body string
		status            int
	}{
		"no token":         {comments, "", `{"body":"a"}`, http.StatusUnauthorized},
		"a blank comment":  {comments, "t", `{"body":" "}`, http.StatusUnprocessableEntity},
		"a long one":       {comments, "t", `{"body":"` + strings.Repeat("é", 65_537) + `"}`, http.StatusUnprocessableEntity},
		"the longest one":  {comments, "t", `{"body":"` + strings.Repeat("é", 65_536) + `"}`, http.StatusCreated},
		"no JSON":          {comments, "t", `{`, http.StatusBadRequest},
		"no number":        {"/repos/a/b/issues/x/comments", "t", `{"body":"a"}`, http.StatusNotFound},
		"nothing is there": {"/repos/a/b/stars", "t", `{}`, http.StatusNotFound},
		"no URL":           {"/repos/a/b/hooks", "t", `{}`, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status := call(t, kit, tc.path, tc.token, tc.body); status != tc.status {
				t.Errorf("got %d, want %d", status, tc.status)
			}
		})
	}
}

// call posts something to the fake, past the integration.
func call(t *testing.T, kit *handlerstest.Kit, path, token, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, kit.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
