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
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestCommandIsToldAndAcknowledged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ field, want string }{
		"with what is usual":     {``, `{"response_type":"ephemeral","text":"One moment…"}`},
		"with what was asked of": {`,"commandAnswer":"At once"`, `{"response_type":"ephemeral","text":"At once"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := handlerstest.New(t, slack.Integration, strings.TrimSuffix(configuration, "}")+tc.field+"}")
			o := kit.Webhook(kit.Sample("slash_command", sampleArgs()))
			if o.Err != nil || !o.Awaited || o.Response == nil || o.Response.Status != http.StatusOK || len(o.Messages) > 0 {
				t.Fatalf("outcome is %+v", o)
			}
			if diff := cmp.Diff(handlers.Part{ID: "T0TOWPATH1:1795253400.0TEST1", Key: "C0TEST1"}, o.Parts[0].Part) +
				cmp.Diff(tc.want, string(o.Response.Body)) + cmp.Diff("application/json", o.Response.Header.Get("Content-Type")); diff != "" {
				t.Error(diff)
			}
			want := []slack.Command{{
				Command: "/towpath", Text: "Hi <there>", UserID: "U0TEST1", UserName: "newcomer", ChannelID: "C0TEST1", ChannelName: "general",
				TeamID: "T0TOWPATH1", TriggerID: "1795253400.0TEST1", ResponseURL: kit.URL + "/api/response/commands/T0TOWPATH1/0TEST1",
			}}
			if diff := cmp.Diff(want, handlerstest.Fired(o, slack.CommandInvoked)); diff != "" {
				t.Error(diff)
			}
			in := kit.Conversation("channel", client.Tags{"channelId": "C0TEST1"})
			if o.Events[0].ConversationID != in.ID || o.Events[0].UserID == "" {
				t.Errorf("the event is about %+v", o.Events[0])
			}
			if o = kit.Retry(o); len(o.Response.Body) == 0 || o.Err != nil {
				t.Errorf("another attempt answers %+v", o.Response)
			}
		})
	}
}

func TestFormsAreAwaitedForLessThanSlackWaits(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for sample, awaited := range map[string]bool{"slash_command": true, "block_actions": true, "view_submission": true, "message": false} {
		answers := kit.Installed.Awaits(kit.Sample(sample, sampleArgs()))
		if (answers != nil) != awaited || awaited && (answers.Within >= 3*time.Second || answers.Late.Status != http.StatusOK || len(answers.Late.Body) > 0) {
			t.Errorf("%s: %+v", sample, answers)
		}
	}
}

func TestCertificateProbeIsAnswered(t *testing.T) {
	t.Parallel()
	if o := install(t).Unsigned(post("application/x-www-form-urlencoded", "ssl_check=1&token=x")); !o.Handshake || o.Response.Status != http.StatusOK {
		t.Errorf("outcome is %+v", o)
	}
}

func TestFormsAreVerifiedLikeEvents(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "slash_command", Header: "X-Slack-Signature", Secret: "signingSecret", Tolerance: 5 * time.Minute,
	})
}

func TestPressedButtonIsToldAndSaysItsValue(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("block_actions", sampleArgs()))
	if o.Err != nil || !o.Awaited || o.Response == nil || len(o.Response.Body) > 0 {
		t.Fatalf("outcome is %+v", o)
	}
	fired := handlerstest.Fired(o, slack.InteractionReceived)
	if len(fired) != 1 || !json.Valid(fired[0].Payload) || strings.Contains(string(fired[0].Payload), "deprecated") {
		t.Fatalf("fired %+v", fired)
	}
	fired[0].Payload = nil
	want := slack.Interaction{
		Type: "block_actions", UserID: "U0TEST1", ChannelID: "C0TEST1", MessageTS: "1795253340.123456",
		TriggerID: "1795253400.0TEST1", ResponseURL: kit.URL + "/api/response/actions/T0TOWPATH1/0TEST1",
		Actions: []slack.Input{{ActionID: "towpath:say:1", BlockID: "b1", Type: "button", Value: "Hi <there>"}},
	}
	if diff := cmp.Diff(want, fired[0]); diff != "" {
		t.Error(diff)
	}
	if len(o.Messages) != 1 || string(o.Messages[0].Payload) != `{"text":"Hi \u003cthere\u003e"}` {
		t.Errorf("messages are %+v", o.Messages)
	}
	if o = kit.Retry(o); o.Err != nil || o.Messages[0].ID == "" {
		t.Error(o.Err)
	}
	all, err := kit.Client.ListMessages(t.Context(), client.ListMessagesInput{})
	if err != nil || len(all.Messages) != 1 {
		t.Errorf("%v: there are %d messages", err, len(all.Messages))
	}
}

func TestInteractionsOfEveryKind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		payload string
		want    slack.Interaction
		said    string
		tags    client.Tags
	}{
		"a modal that is sent off": {`{"type":"view_submission","trigger_id":"1.2","view":{"id":"V1","callback_id":"f","private_metadata":"m","state":{"values":{"b":{"a":{"value":"x"}}}}}}`,
			slack.Interaction{Type: "view_submission", CallbackID: "f", TriggerID: "1.2",
				View: &slack.View{ID: "V1", CallbackID: "f", PrivateMetadata: "m", State: json.RawMessage(`{"b":{"a":{"value":"x"}}}`)}}, "", nil},
		"a shortcut": {`{"type":"shortcut","callback_id":"tow","trigger_id":"1.2"}`, slack.Interaction{Type: "shortcut", CallbackID: "tow", TriggerID: "1.2"}, "", nil},
		"a message's shortcut": {`{"type":"message_action","callback_id":"tow","channel":{"id":"C1"},"message_ts":"1.1","message":{"ts":"1.1","thread_ts":"1.0"}}`,
			slack.Interaction{Type: "message_action", CallbackID: "tow", ChannelID: "C1", MessageTS: "1.1", ThreadTS: "1.0"}, "", nil},
		"a dropdown of ours, in a thread": {`{"type":"block_actions","channel":{"id":"C1"},"container":{"message_ts":"1.1","thread_ts":"1.0"},"actions":[{"type":"static_select","action_id":"towpath:say:1","selected_option":{"value":"tea"}}]}`,
			slack.Interaction{Type: "block_actions", ChannelID: "C1", MessageTS: "1.1", ThreadTS: "1.0",
				Actions: []slack.Input{{ActionID: "towpath:say:1", Type: "static_select", Value: "tea"}}}, "tea", client.Tags{"threadId": "1.0"}},
		"a link of ours": {`{"type":"block_actions","channel":{"id":"C1"},"actions":[{"type":"button","action_id":"towpath:open:1"}]}`,
			slack.Interaction{Type: "block_actions", ChannelID: "C1", Actions: []slack.Input{{ActionID: "towpath:open:1", Type: "button"}}}, "", nil},
		"elements of an app's own": {`{"type":"block_actions","container":{"channel_id":"C1"},"actions":[{"type":"datepicker","action_id":"d","selected_date":"2026-11-21"},
			{"type":"multi_static_select","action_id":"m","selected_options":[{"value":"a"},{"value":"b"}]},{"type":"multi_users_select","action_id":"u","selected_users":["U1"]},
			{"type":"datetimepicker","action_id":"t","selected_date_time":1795253400}]}`,
			slack.Interaction{Type: "block_actions", ChannelID: "C1", Actions: []slack.Input{
				{ActionID: "d", Type: "datepicker", Value: "2026-11-21"}, {ActionID: "m", Type: "multi_static_select", Values: []string{"a", "b"}},
				{ActionID: "u", Type: "multi_users_select", Values: []string{"U1"}}, {ActionID: "t", Type: "datetimepicker", Value: "1795253400"},
			}}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := url.Values{"payload": {strings.Replace(tc.payload, "{", `{"token":"x","team":{"id":"T1"},"user":{"id":"U1"},`, 1)}}.Encode()
			o := install(t).Unsigned(post("application/x-www-form-urlencoded", body))
			fired := handlerstest.Fired(o, slack.InteractionReceived)
			if o.Err != nil || len(fired) != 1 || o.Response == nil {
				t.Fatalf("%v, %v: fired %+v", o.Refused, o.Err, fired)
			}
			fired[0].Payload, tc.want.UserID = nil, "U1"
			if diff := cmp.Diff(tc.want, fired[0]); diff != "" {
				t.Error(diff)
			}
			if (tc.said != "") != (len(o.Messages) == 1) {
				t.Fatalf("messages are %+v", o.Messages)
			}
			if tc.said != "" {
				if diff := cmp.Diff(`{"text":"`+tc.said+`"}`, string(o.Messages[0].Payload)) + cmp.Diff(tc.tags, o.Messages[0].Tags); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestLargeInteractionIsToldWithoutItsBlocks(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("<", 25_000) + `"`
	for payload, want := range map[string]string{
		`{"type":"block_actions","message":{"ts":"1.1","blocks":[` + large + `]}}`:          `{"message":{"ts":"1.1"},"type":"block_actions"}`,
		`{"type":"block_actions","message":{"ts":"1.1","blocks":[]},"other":` + large + `}`: `null`,
		`{"type":"block_actions","other":` + large + `}`:                                    `null`,
	} {
		o := install(t).Unsigned(post("application/x-www-form-urlencoded", url.Values{"payload": {payload}}.Encode()))
		got := handlerstest.Fired(o, slack.InteractionReceived)
		if o.Err != nil || len(got) != 1 || !got[0].Omitted || string(got[0].Payload) != want {
			t.Errorf("%v, told %d events", o.Err, len(got))
		}
	}
}

func TestRespondAnswersThroughTheResponseURL(t *testing.T) {
	t.Parallel()
	kit := install(t)
	command := handlerstest.Fired(kit.Webhook(kit.Sample("slash_command", sampleArgs())), slack.CommandInvoked)[0]
	o := kit.Action("respond", slack.Respond{ResponseURL: command.ResponseURL, Text: "Done", ThreadID: "1.1"})
	if o.Err != nil || len(o.Requests) != 1 || !o.Requests[0].Accepted || o.Action.Cost != 1 {
		t.Fatalf("%v: the platform got %+v", o.Err, o.Requests)
	}
	want := `{"delete_original":false,"replace_original":false,"response_type":"ephemeral","text":"Done","thread_ts":"1.1"}`
	if diff := cmp.Diff(want, o.Requests[0].Body); diff != "" {
		t.Error(diff)
	}
	for range 4 {
		o = kit.Action("respond", slack.Respond{
			ResponseURL: command.ResponseURL, InChannel: true, ReplaceOriginal: true, Blocks: json.RawMessage(`[{"type":"divider"}]`),
		})
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if !strings.Contains(o.Requests[0].Body, `"response_type":"in_channel"`) || !strings.Contains(o.Requests[0].Body, `"blocks":[{"type":"divider"}]`) {
		t.Errorf("sent %s", o.Requests[0].Body)
	}
	o = kit.Action("respond", slack.Respond{ResponseURL: command.ResponseURL, DeleteOriginal: true})
	if o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, "five times") {
		t.Errorf("the sixth answer: %+v", o.Verdict)
	}
}

func TestActionsGoNowhereElse(t *testing.T) {
	t.Parallel()
	kit := install(t)
	// Only where it does not go: nothing here leaves the machine.
	public := handlerstest.New(t, slack.Integration, `{"botToken":"xoxb-not-to-be-seen","signingSecret":"current","apiUrl":"https://slack.com/api/"}`)
	usual := handlerstest.New(t, slack.Integration, `{"botToken":"xoxb-not-to-be-seen","signingSecret":"current","apiUrl":""}`)
	if o := usual.Action("downloadFile", slack.DownloadFile{URL: "https://files.slack.com/files-pri/x"}); o.Verdict.Decision != handlers.Retry {
		t.Errorf("a file of Slack's is not even asked for: %v", o.Err)
	}
	for name, o := range map[string]handlerstest.Outcome{
		"a method as a file":             usual.Action("downloadFile", slack.DownloadFile{URL: "https://slack.com/api/auth.revoke"}),
		"another page as a file":         usual.Action("downloadFile", slack.DownloadFile{URL: "https://slack.com/files-pri/x"}),
		"a method as a file, configured": public.Action("downloadFile", slack.DownloadFile{URL: "https://slack.com/api/auth.revoke"}),
		"a method as a file of apiUrl":   kit.Action("downloadFile", slack.DownloadFile{URL: kit.URL + "/api/auth.revoke?x=/files-pri/"}),
		"a method by a detour":           kit.Action("downloadFile", slack.DownloadFile{URL: kit.URL + "/files-pri/..//%61pi/auth.revoke"}),
		"a method in capitals":           kit.Action("downloadFile", slack.DownloadFile{URL: kit.URL + "/API/auth.revoke"}),
		"an answer elsewhere":            kit.Action("respond", slack.Respond{ResponseURL: "https://evil.example/x", Text: "a"}),
		"an answer at nothing":           kit.Action("respond", slack.Respond{ResponseURL: ":", Text: "a"}),
		"an empty answer":                kit.Action("respond", slack.Respond{ResponseURL: kit.URL + "/api/response/x"}),
		"too long an answer":             kit.Action("respond", slack.Respond{ResponseURL: kit.URL + "/api/response/x", Text: strings.Repeat("a", 40_001)}),
		"a file elsewhere":               kit.Action("downloadFile", slack.DownloadFile{URL: "https://evil.example/x"}),
		"a file of a namesake":           public.Action("downloadFile", slack.DownloadFile{URL: "https://slack.com.evil.example/x"}),
		"a file with a login":            public.Action("downloadFile", slack.DownloadFile{URL: "https://slack.com@evil.example/x"}),
		"a file of the API's":            public.Action("downloadFile", slack.DownloadFile{URL: "https://hooks.slack.com/x"}),
		"a file without TLS":             public.Action("downloadFile", slack.DownloadFile{URL: "http://files.slack.com/x"}),
	} {
		if o.Verdict.Decision != handlers.GiveUp || len(o.Requests) > 0 {
			t.Errorf("%s: %v after %d requests", name, o.Err, len(o.Requests))
		}
	}
}

func TestModalIsOpened(t *testing.T) {
	t.Parallel()
	kit := install(t)
	input := slack.OpenView{TriggerID: "1.2", View: json.RawMessage(`{"type":"modal"}`)}
	o := kit.Action("openView", input)
	if o.Err != nil || string(o.Action.Output) != `{"viewId":"V0TOWPATH1"}` {
		t.Fatalf("%v, %s", o.Err, o.Requests[0].Body)
	}
	if diff := cmp.Diff(`{"trigger_id":"1.2","view":{"type":"modal"}}`, o.Requests[0].Body); diff != "" {
		t.Error(diff)
	}
	if o = kit.Action("openView", input); o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, "has been used") {
		t.Errorf("a trigger that was used: %+v", o.Verdict)
	}
	kit.Script(fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "7"}, Times: 1},
		fake.Rule{Status: 200, Body: `{"ok":false,"error":"invalid_auth"}`, Times: 1})
	if o = kit.Action("openView", input); o.Verdict.Decision != handlers.Retry || o.Verdict.After != 7*time.Second {
		t.Errorf("too many: %+v", o.Verdict)
	}
	if o = kit.Action("openView", input); o.Verdict.Decision != handlers.Pause {
		t.Errorf("a refused token: %+v", o.Verdict)
	}
}
