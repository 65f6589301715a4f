package slack_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func outgoing(typ, payload string, tags client.Tags) handlers.Outgoing {
	return handlers.Outgoing{
		Conversation: client.Conversation{ID: "conv_1", Channel: "channel", Tags: client.Tags{"channelId": "C1"}},
		Message:      client.Message{ID: "msg_1", Type: typ, Payload: json.RawMessage(payload), Tags: tags},
	}
}

// sent returns the arguments of the one accepted call of a method.
func (i *installation) sent(t *testing.T, method string) url.Values {
	t.Helper()
	requests := i.platform.Requests()
	if len(requests) != 1 || !requests[0].Accepted || requests[0].Path != "/slack/api/"+method {
		t.Fatalf("the platform got %+v", requests)
	}
	form, err := url.ParseQuery(requests[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestMessagesAreSentAndAcked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		message handlers.Outgoing
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
			i := install(t)
			if err := i.Message(t.Context(), i.base, tc.message); err != nil {
				t.Fatal(err)
			}
			tc.want.Set("channel", "C1")
			if diff := cmp.Diff(tc.want, i.sent(t, "chat.postMessage")); diff != "" {
				t.Error(diff)
			}
			acked := i.recorder.asked("updateMessage")
			if len(acked) != 1 {
				t.Fatalf("acked %d times", len(acked))
			}
			ack := acked[0].(*client.UpdateMessageInput)
			if ack.ID != "msg_1" || !strings.Contains(ack.Tags["messageId"], ".") {
				t.Errorf("ack is %+v", ack)
			}
		})
	}
}

func TestSendMessageActionCostsOne(t *testing.T) {
	t.Parallel()
	i := install(t)
	result, err := i.Action(t.Context(), i.base, "sendMessage", json.RawMessage(`{"channelId":"C1","text":"a","threadId":"1.1"}`))
	if err != nil {
		t.Fatal(err)
	}
	var out slack.Sent
	if err := json.Unmarshal(result.Output, &out); err != nil {
		t.Fatal(err)
	}
	if out.MessageID == "" || out.MessageID != out.Timestamp || result.Cost != 1 {
		t.Errorf("result is %s at %v", result.Output, result.Cost)
	}
	want := url.Values{"channel": {"C1"}, "text": {"a"}, "thread_ts": {"1.1"}}
	if diff := cmp.Diff(want, i.sent(t, "chat.postMessage")); diff != "" {
		t.Error(diff)
	}
	if len(i.recorder.calls) > 0 {
		t.Errorf("asked for %v", i.recorder.calls)
	}
}

func TestTimestampsAreUniqueAndGrow(t *testing.T) {
	t.Parallel()
	i := install(t)
	last := ""
	for range 50 {
		result, err := i.Action(t.Context(), i.base, "sendMessage", json.RawMessage(`{"channelId":"C1","text":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		if string(result.Output) <= last {
			t.Fatalf("%s after %s", result.Output, last)
		}
		last = string(result.Output)
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
			i := install(t)
			if err := i.platform.Script(tc.rule); err != nil {
				t.Fatal(err)
			}
			err := i.Message(t.Context(), i.base, outgoing("text", `{"text":"a"}`, nil))
			verdict := handlers.Judge(err)
			if verdict.Decision != tc.want || verdict.After != tc.after || !strings.Contains(verdict.Message, tc.message) {
				t.Errorf("%v is judged %+v, want %s after %s, told %q", err, verdict, tc.want, tc.after, tc.message)
			}
			if err != nil && strings.Contains(err.Error(), botToken) {
				t.Errorf("the error tells the token: %v", err)
			}
			if n := len(i.platform.Requests()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if n := len(i.recorder.calls); n > 0 {
				t.Errorf("acked what was not taken: %v", i.recorder.calls)
			}
		})
	}
}

func TestTextsAreSentWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	i := install(t)
	text := func(n int) handlers.Outgoing {
		return outgoing("text", `{"text":"`+strings.Repeat("é", n)+`"}`, nil)
	}
	if err := i.Message(t.Context(), i.base, text(40_000)); err != nil {
		t.Fatal(err)
	}
	i.sent(t, "chat.postMessage")
	if err := i.Message(t.Context(), i.base, text(40_001)); decision(err) != handlers.GiveUp || len(i.platform.Requests()) != 1 {
		t.Errorf("got %v after %d requests", err, len(i.platform.Requests()))
	}
}

func TestLongCaptionsAreCutToWhatSlackShows(t *testing.T) {
	t.Parallel()
	i := install(t)
	payload := `{"imageUrl":"https://x/a.png","caption":"` + strings.Repeat("é", 3001) + `"}`
	if err := i.Message(t.Context(), i.base, outgoing("image", payload, nil)); err != nil {
		t.Fatal(err)
	}
	form := i.sent(t, "chat.postMessage")
	var blocks []struct {
		AltText string `json:"alt_text"`
		Text    struct {
			Text string `json:"text"`
		} `json:"text"`
	}
	if err := json.Unmarshal([]byte(form.Get("blocks")), &blocks); err != nil {
		t.Fatal(err)
	}
	want := []string{strings.Repeat("é", 3001), strings.Repeat("é", 2999) + "…", strings.Repeat("é", 1999) + "…"}
	if diff := cmp.Diff(want, []string{form.Get("text"), blocks[0].Text.Text, blocks[1].AltText}); diff != "" {
		t.Error(diff)
	}
}

func TestTokenIsInNoRecordedBody(t *testing.T) {
	t.Parallel()
	i := install(t)
	if err := i.Register(t.Context(), i.base, "https://towpath.example/w"); err != nil {
		t.Fatal(err)
	}
	if err := i.Message(t.Context(), i.base, outgoing("text", `{"text":"a"}`, nil)); err != nil {
		t.Fatal(err)
	}
	for _, r := range i.platform.Requests() {
		if !r.Accepted || strings.Contains(r.Body, "token") || strings.Contains(r.Path, "token") {
			t.Errorf("request is %+v", r)
		}
	}
}

func TestFakeRefusesAsSlackDoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ path, contentType, token, body, want string }{
		"no token":          {"chat.postMessage", "application/json", "", `{"channel":"C1","text":"a"}`, `"error":"not_authed"`},
		"an unknown method": {"chat.shout", "application/json", "t", `{}`, `"error":"unknown_method"`},
		"no channel":        {"chat.postMessage", "application/json", "t", `{"text":"a"}`, `"error":"channel_not_found"`},
		"no text":           {"chat.postMessage", "application/json", "t", `{"channel":"C1"}`, `"error":"no_text"`},
		"no JSON":           {"chat.postMessage", "application/json", "t", `{`, `"error":"invalid_form_data"`},
		"blocks in JSON":    {"chat.postMessage", "application/json", "t", `{"channel":"C1","blocks":[{"type":"divider"}]}`, `"ok":true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.server.URL+"/slack/api/"+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", tc.contentType)
			if tc.token != "" {
				request.Header.Set("Authorization", "Bearer "+tc.token)
			}
			response, err := i.server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var answer json.RawMessage
			if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != http.StatusOK || !strings.Contains(string(answer), tc.want) {
				t.Errorf("answer is %s %s, want %s", response.Status, answer, tc.want)
			}
			if accepted := i.platform.Requests()[0].Accepted; accepted != strings.Contains(tc.want, "true") {
				t.Errorf("recorded as accepted: %v", accepted)
			}
		})
	}
}
