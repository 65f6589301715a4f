package slack_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func outgoing(typ, payload string, tags client.Tags) handlerstest.Message {
	return handlerstest.Message{Type: typ, Payload: payload, Conversation: client.Tags{"channelId": "C1"}, Tags: tags}
}

// sent returns the arguments of the one accepted call of a method.
func sent(t *testing.T, o handlerstest.Outcome, method string) url.Values {
	t.Helper()
	if len(o.Requests) != 1 || !o.Requests[0].Accepted || o.Requests[0].Path != "/api/"+method {
		t.Fatalf("%v, the platform got %+v", o.Err, o.Requests)
	}
	form, err := url.ParseQuery(o.Requests[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestMessagesAreSentAndAcked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		message handlerstest.Message
		want    url.Values
	}{
		"a text": {outgoing("text", `{"text":"Tea & <cake>"}`, nil), url.Values{"text": {"Tea & <cake>"}}},
		"a text in a thread": {outgoing("text", `{"text":"a"}`, client.Tags{"threadId": "1.1"}),
			url.Values{"text": {"a"}, "thread_ts": {"1.1"}}},
		"an image": {outgoing("image", `{"imageUrl":"https://x/a.png"}`, nil),
			url.Values{"text": {"Image"}, "blocks": {`[{"type":"image","image_url":"https://x/a.png","alt_text":"Image"}]`}}},
		"an image with a caption": {outgoing("image", `{"imageUrl":"https://x/a.png","caption":"A lock","title":"no"}`, nil),
			url.Values{"text": {"A lock"}, "blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":"A lock"}},{"type":"image","image_url":"https://x/a.png","alt_text":"A lock"}]`}}},
		"an image with a title, in a thread": {outgoing("image", `{"imageUrl":"https://x/a.png","title":"A lock"}`, client.Tags{"threadId": "1.1"}),
			url.Values{"text": {"A lock"}, "blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":"A lock"}},{"type":"image","image_url":"https://x/a.png","alt_text":"A lock"}]`}, "thread_ts": {"1.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(tc.message)
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			tc.want.Set("channel", "C1")
			if diff := cmp.Diff(tc.want, sent(t, o, "chat.postMessage")); diff != "" {
				t.Error(diff)
			}
			if len(o.Acks) != 1 || !strings.Contains(o.Acks[0]["messageId"], ".") || o.Message.AckedAt == nil {
				t.Errorf("acks are %v", o.Acks)
			}
		})
	}
}

func TestSendMessageActionCostsOne(t *testing.T) {
	t.Parallel()
	o := install(t).Action("sendMessage", `{"channelId":"C1","text":"a","threadId":"1.1"}`)
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	var out slack.Sent
	if err := json.Unmarshal(o.Action.Output, &out); err != nil {
		t.Fatal(err)
	}
	if out.MessageID == "" || out.MessageID != out.Timestamp || o.Action.Cost != 1 {
		t.Errorf("result is %s at %v", o.Action.Output, o.Action.Cost)
	}
	want := url.Values{"channel": {"C1"}, "text": {"a"}, "thread_ts": {"1.1"}}
	if diff := cmp.Diff(want, sent(t, o, "chat.postMessage")); diff != "" {
		t.Error(diff)
	}
	if len(o.Effects()) > 0 {
		t.Errorf("asked for %v", o.Effects())
	}
}

func TestTimestampsAreUniqueAndGrow(t *testing.T) {
	t.Parallel()
	kit := install(t)
	last := ""
	for range 50 {
		o := kit.Action("sendMessage", `{"channelId":"C1","text":"a"}`)
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if string(o.Action.Output) <= last {
			t.Fatalf("%s after %s", o.Action.Output, last)
		}
		last = string(o.Action.Output)
	}
}

// What Slack answers decides what becomes of the message, and nothing is
// retried before the worker has decided.
func TestErrorsOfSlack(t *testing.T) {
	t.Parallel()
	refused := func(code string) fake.Rule {
		return fake.Rule{Status: http.StatusOK, Body: `{"ok":false,"error":"` + code + `"}`}
	}
	for name, tc := range map[string]struct {
		rule    fake.Rule
		want    handlers.Decision
		after   time.Duration
		message string // what the owner must be told, in part
	}{
		"too many requests":            {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "17"}}, handlers.Retry, 17 * time.Second, ""},
		"too many, without a time":     {fake.Rule{Status: 429}, handlers.Retry, 0, ""},
		"too many, with a strange one": {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "soon"}}, handlers.Retry, 0, ""},
		"broken":                       {fake.Rule{Status: 500, Body: "<html>"}, handlers.Retry, 0, ""},
		"unavailable":                  {fake.Rule{Status: 503}, handlers.Retry, 0, ""},
		"connection reset":             {fake.Rule{Reset: true}, handlers.Retry, 0, ""},
		"answer lost":                  {fake.Rule{AfterAccept: true}, handlers.Retry, 0, ""},
		"no JSON":                      {fake.Rule{Status: 200, Body: "ok"}, handlers.Retry, 0, ""},
		"nothing of Slack's":           {fake.Rule{Status: 200, Body: "{}"}, handlers.Retry, 0, ""},
		"a word that is new":           {refused("surprise"), handlers.Retry, 0, ""},
		"ratelimited":                  {refused("ratelimited"), handlers.Retry, 0, ""},
		"internal_error":               {refused("internal_error"), handlers.Retry, 0, ""},
		"fatal_error":                  {refused("fatal_error"), handlers.Retry, 0, ""},
		"service_unavailable":          {refused("service_unavailable"), handlers.Retry, 0, ""},
		"request_timeout":              {refused("request_timeout"), handlers.Retry, 0, ""},
		"message_limit_exceeded":       {refused("message_limit_exceeded"), handlers.Retry, 0, ""},
		"invalid_auth":                 {refused("invalid_auth"), handlers.Pause, 0, "bot token: invalid_auth"},
		"not_authed":                   {refused("not_authed"), handlers.Pause, 0, "bot token"},
		"account_inactive":             {refused("account_inactive"), handlers.Pause, 0, "bot token"},
		"token_revoked":                {refused("token_revoked"), handlers.Pause, 0, "bot token"},
		"token_expired":                {refused("token_expired"), handlers.Pause, 0, "bot token"},
		"team_access_not_granted":      {refused("team_access_not_granted"), handlers.Pause, 0, "bot token"},
		"org_login_required":           {refused("org_login_required"), handlers.Pause, 0, "bot token"},
		"missing_scope": {fake.Rule{Status: 200, Body: `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"x"}`},
			handlers.Pause, 0, "it needs chat:write"},
		"channel_not_found":           {refused("channel_not_found"), handlers.GiveUp, 0, "channel_not_found: check"},
		"not_in_channel":              {refused("not_in_channel"), handlers.GiveUp, 0, "invite the bot"},
		"is_archived":                 {refused("is_archived"), handlers.GiveUp, 0, "archived"},
		"no_text":                     {refused("no_text"), handlers.GiveUp, 0, "no_text"},
		"invalid_blocks":              {refused("invalid_blocks"), handlers.GiveUp, 0, "invalid_blocks"},
		"msg_blocks_too_long":         {refused("msg_blocks_too_long"), handlers.GiveUp, 0, "too long"},
		"too_many_attachments":        {refused("too_many_attachments"), handlers.GiveUp, 0, "too many"},
		"restricted_action_read_only": {refused("restricted_action_read_only_channel"), handlers.GiveUp, 0, "restricted_action"},
		"cannot_reply_to_message":     {refused("cannot_reply_to_message"), handlers.GiveUp, 0, "no replies"},
		"invalid_arguments":           {refused("invalid_arguments"), handlers.GiveUp, 0, "invalid_arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Send(outgoing("text", `{"text":"a"}`, nil))
			if v := o.Verdict; v.Decision != tc.want || v.After != tc.after || !strings.Contains(v.Message, tc.message) {
				t.Errorf("%v is judged %+v, want %s after %s, told %q", o.Err, v, tc.want, tc.after, tc.message)
			}
			if n := len(o.Requests); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if len(o.Effects()) > 0 {
				t.Errorf("acked what was not taken: %v", o.Effects())
			}
		})
	}
}

// posted returns the arguments of all accepted calls of chat.postMessage.
func posted(t *testing.T, o handlerstest.Outcome) []url.Values {
	t.Helper()
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	var all []url.Values
	for _, r := range o.Requests {
		form, err := url.ParseQuery(r.Body)
		if err != nil || !r.Accepted || r.Path != "/api/chat.postMessage" {
			t.Fatalf("%v: the platform got %.200s", err, r.Path+" "+r.Body)
		}
		all = append(all, form)
	}
	return all
}

func TestLongTextsArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	words := func(n int) string {
		var text strings.Builder
		for i := 0; text.Len() < n; i++ {
			text.WriteString(strconv.Itoa(i) + " ")
		}
		return strings.TrimSpace(text.String()[:n])
	}
	for name, tc := range map[string]struct {
		payload events.Payload
		field   string
		limit   int
		parts   int
	}{
		"a text of 10,000 characters":      {events.Text{Text: words(10_000)}, "text", 40_000, 1},
		"a text of 40,000 characters":      {events.Text{Text: strings.Repeat("é", 40_000)}, "text", 40_000, 1},
		"a text of 100,000 characters":     {events.Text{Text: words(100_000)}, "text", 40_000, 3},
		"Markdown of 10,000 characters":    {events.Markdown{Markdown: words(10_000)}, "markdown_text", 12_000, 1},
		"Markdown of 30,000 characters":    {events.Markdown{Markdown: words(30_000)}, "markdown_text", 12_000, 3},
		"a caption of 10,000 characters":   {events.Image{ImageURL: "https://x/a.png", Caption: words(10_000)}, "text", 40_000, 2},
		"a question of 10,000 characters":  {events.Choice{Text: words(10_000), Options: []events.Option{{Label: "Yes", Value: "y"}}}, "text", 40_000, 2},
		"a card's text of 10,000":          {events.Card{Subtitle: words(10_000), ImageURL: "https://x/a.png"}, "text", 40_000, 2},
		"a bloc with a text of 10,000 one": {events.Bloc{Items: []events.BlocItem{{Type: "text", Payload: json.RawMessage(`{"text":"` + words(10_000) + `"}`)}}}, "text", 40_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(handlerstest.Message{Payload: tc.payload, Conversation: client.Tags{"channelId": "C1"}, Tags: client.Tags{"threadId": "1.1"}})
			arrived := posted(t, o)
			if len(arrived) != tc.parts {
				t.Fatalf("%d postings, want %d", len(arrived), tc.parts)
			}
			var texts []string
			for _, form := range arrived {
				if n := utf8.RuneCountInString(form.Get(tc.field)); n > tc.limit {
					t.Errorf("a posting of %d characters", n)
				}
				if form.Get("thread_ts") != "1.1" {
					t.Error("a posting is not in its thread")
				}
				if form.Get("blocks") == "" { // beside blocks it is for notifications
					texts = append(texts, form.Get(tc.field))
				}
			}
			var whole string
			switch m := tc.payload.(type) {
			case events.Text:
				whole = m.Text
			case events.Markdown:
				whole = m.Markdown
			case events.Image:
				whole = m.Caption
			case events.Choice:
				whole = m.Text
			case events.Card:
				whole = m.Subtitle
			case events.Bloc:
				whole = words(10_000)
			}
			if got := strings.Join(texts, " "); got != whole {
				t.Errorf("got %d bytes, want %d", len(got), len(whole))
			}
			if len(o.Acks) != 1 {
				t.Errorf("acks are %v", o.Acks)
			}
		})
	}
}

func TestNothingIsPostedTwiceWhenALaterPartFails(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(fake.Rule{Delay: time.Nanosecond, Times: 1}, fake.Rule{Status: 503, Times: 1})
	o := kit.Send(outgoing("text", `{"text":"`+strings.Repeat("a", 40_000)+strings.Repeat("b", 40_000)+strings.Repeat("c", 10)+`"}`, nil))
	if o.Verdict.Decision != handlers.Retry || len(o.Requests) != 2 {
		t.Fatalf("%v after %d requests", o.Err, len(o.Requests))
	}
	o = kit.Retry(o)
	if o.Err != nil || len(o.Requests) != 2 || len(o.Acks) != 1 {
		t.Fatalf("%v after %d more requests", o.Err, len(o.Requests))
	}
	var starts []string
	for _, r := range kit.Requests() {
		if form, err := url.ParseQuery(r.Body); err == nil && r.Accepted {
			starts = append(starts, form.Get("text")[:1])
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, starts); diff != "" {
		t.Error(diff)
	}
	if o = kit.Retry(o); !o.Skipped || len(o.Requests) > 0 {
		t.Errorf("what was acked is sent again: %+v", o.Requests)
	}
}

func TestActionTakesWhatIsOneMessage(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Action("sendMessage", map[string]string{"channelId": "C1", "text": strings.Repeat("é", 40_001)})
	if o.Verdict.Decision != handlers.GiveUp || len(o.Requests) > 0 {
		t.Errorf("got %v after %d requests", o.Err, len(o.Requests))
	}
}

func TestTokenIsInNoRecordedBody(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Register()
	kit.Send(outgoing("text", `{"text":"a"}`, nil))
	for _, r := range kit.Requests() {
		if !r.Accepted || strings.Contains(r.Body, "token") || strings.Contains(r.Path, "token") {
			t.Errorf("request is %+v", r)
		}
	}
}

func TestFakeRefusesAsSlackDoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ path, contentType, token, body, want string }{
		"no token":          {"chat.postMessage", "application/json", "", `{"channel":"C1","text":"a"}`, `"error":"not_authed"`},
		"an unknown method": {"chat.shout", "application/json", "xoxb-t", `{}`, `"error":"unknown_method"`},
		"no channel":        {"chat.postMessage", "application/json", "xoxb-t", `{"text":"a"}`, `"error":"channel_not_found"`},
		"no text":           {"chat.postMessage", "application/json", "xoxb-t", `{"channel":"C1"}`, `"error":"no_text"`},
		"no JSON":           {"chat.postMessage", "application/json", "xoxb-t", `{`, `"error":"invalid_form_data"`},
		"another token":     {"chat.postMessage", "application/json", "t", `{"channel":"C1","text":"a"}`, `"error":"invalid_auth"`},
		"too long a text":   {"chat.postMessage", "application/json", "xoxb-t", `{"channel":"C1","text":"` + strings.Repeat("a", 40_001) + `"}`, `"error":"msg_too_long"`},
		"both markups":      {"chat.postMessage", "application/json", "xoxb-t", `{"channel":"C1","text":"a","markdown_text":"a"}`, `"error":"markdown_text_conflict"`},
		"a text of nothing": {"chat.postMessage", "application/json", "xoxb-t", `{"channel":"C1","blocks":[{"type":"section","text":{"text":""}}]}`, `"error":"invalid_blocks"`},
		"an unknown post":   {"chat.update", "application/json", "xoxb-t", `{"channel":"C1","ts":"1.1","text":"a"}`, `"error":"message_not_found"`},
		"no view":           {"views.open", "application/json", "xoxb-t", `{"trigger_id":"1.1"}`, `"error":"invalid_arguments"`},
		"blocks in JSON":    {"chat.postMessage", "application/json", "xoxb-t", `{"channel":"C1","blocks":[{"type":"divider"}]}`, `"ok":true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			request := httptest.NewRequest(http.MethodPost, "/slack/api/"+tc.path, strings.NewReader(tc.body))
			request.Header.Set("Content-Type", tc.contentType)
			if tc.token != "" {
				request.Header.Set("Authorization", "Bearer "+tc.token)
			}
			response := httptest.NewRecorder()
			kit.Platform.ServeHTTP(response, request)
			var answer json.RawMessage
			if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if response.Code != http.StatusOK || !strings.Contains(string(answer), tc.want) {
				t.Errorf("answer is %s %s, want %s", response.Result().Status, answer, tc.want)
			}
			if accepted := kit.Requests()[0].Accepted; accepted != strings.Contains(tc.want, "true") {
				t.Errorf("recorded as accepted: %v", accepted)
			}
		})
	}
}
