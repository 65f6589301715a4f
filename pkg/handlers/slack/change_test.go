package slack_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

// hear lets Slack tell of an event in channel C1.
func hear(t *testing.T, kit *handlerstest.Kit, event string) handlerstest.Outcome {
	t.Helper()
	id := strings.NewReplacer(`"`, "", "{", "", "}", "").Replace(event)
	o := kit.Unsigned(post("application/json", `{"type":"event_callback","team_id":"T1","event_id":"`+base64.RawURLEncoding.EncodeToString([]byte(id))+
		`","event":{"channel":"C1",`+event[1:]+`}`))
	if o.Err != nil || o.Refused != nil {
		t.Fatal(o.Err, o.Refused)
	}
	return o
}

// known returns all messages of the store, newest first, as type and payload.
func known(t *testing.T, kit *handlerstest.Kit) []string {
	t.Helper()
	out, err := kit.Client.ListMessages(t.Context(), client.ListMessagesInput{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range out.Messages {
		all = append(all, m.Type+" "+string(m.Payload))
	}
	return all
}

const (
	said   = `{"type":"message","user":"U1","text":"tea","ts":"1.1"}`
	shared = `{"type":"message","subtype":"file_share","user":"U1","text":"","ts":"1.1","files":[{"name":"a.png","mimetype":"image/png","url_private":"https://f/a"}]}`
	both   = `{"type":"message","subtype":"file_share","user":"U1","text":"look","ts":"1.1","files":[{"name":"a.png","mimetype":"image/png","url_private":"https://f/a"}]}`
)

func changed(message string) string {
	return `{"type":"message","subtype":"message_changed","hidden":true,"ts":"1.9","message":` + message + `,"previous_message":{"user":"U1","ts":"1.1"}}`
}

func TestEditsAreTakenOver(t *testing.T) {
	t.Parallel()
	edited := `"edited":{"user":"U1","ts":"1.5"}}`
	for name, tc := range map[string]struct {
		first, then string
		want        []string
	}{
		"an edit":                     {said, changed(`{"user":"U1","text":"milk","ts":"1.1",` + edited), []string{`text {"text":"milk"}`}},
		"an unfolded link":            {said, changed(`{"user":"U1","text":"milk","ts":"1.1"}`), []string{`text {"text":"tea"}`}},
		"an edit by another bot":      {said, changed(`{"bot_id":"B1","user":"U1","text":"milk","ts":"1.1",` + edited), []string{`text {"text":"tea"}`}},
		"one of an unknown message":   {said, changed(`{"user":"U1","text":"milk","ts":"1.2",` + edited), []string{`text {"text":"tea"}`}},
		"nothing in it":               {said, changed(`null`), []string{`text {"text":"tea"}`}},
		"the text is gone":            {said, changed(`{"user":"U1","text":"","ts":"1.1",` + edited), []string{`text {"text":"tea"}`}},
		"words put to a picture":      {shared, changed(strings.TrimSuffix(both, "}") + "," + edited), []string{`image {"imageUrl":"https://f/a","title":"look"}`}},
		"the picture of two is gone":  {both, changed(`{"user":"U1","text":"gone","ts":"1.1",` + edited), []string{`bloc {"items":[{"type":"text","payload":{"text":"gone"}}]}`}},
		"deleted":                     {said, `{"type":"message","subtype":"message_deleted","hidden":true,"ts":"1.9","deleted_ts":"1.1","previous_message":{"user":"U1","ts":"1.1"}}`, nil},
		"deleted, with answers":       {said, changed(`{"subtype":"tombstone","user":"USLACKBOT","text":"This message was deleted.","ts":"1.1"}`), nil},
		"an unknown one is deleted":   {said, `{"type":"message","subtype":"message_deleted","ts":"1.9","deleted_ts":"1.2","previous_message":{"user":"U1","ts":"1.2"}}`, []string{`text {"text":"tea"}`}},
		"nobody's message is deleted": {said, `{"type":"message","subtype":"message_deleted","ts":"1.9","deleted_ts":"1.1"}`, []string{`text {"text":"tea"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			hear(t, kit, tc.first)
			o := hear(t, kit, tc.then)
			if len(o.Messages)+len(o.Events) > 0 {
				t.Errorf("the bot is told anew: %+v", o)
			}
			if diff := cmp.Diff(tc.want, known(t, kit), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if o = kit.Retry(o); o.Err != nil {
				t.Error(o.Err)
			}
			if diff := cmp.Diff(tc.want, known(t, kit), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("after another attempt: %s", diff)
			}
		})
	}
}

func TestAnEarlierEditDoesNotUndoALaterOne(t *testing.T) {
	t.Parallel()
	kit := install(t)
	hear(t, kit, said)
	hear(t, kit, changed(`{"user":"U1","text":"two","ts":"1.1","edited":{"ts":"1.6"}}`))
	hear(t, kit, changed(`{"user":"U1","text":"one","ts":"1.1","edited":{"ts":"1.5"}}`))
	if diff := cmp.Diff([]string{`text {"text":"two"}`}, known(t, kit)); diff != "" {
		t.Error(diff)
	}
}

func TestBotsOwnWordsStay(t *testing.T) {
	t.Parallel()
	kit := install(t)
	sent := kit.Send(outgoing("text", `{"text":"mine"}`, nil))
	ts := sent.Message.Tags["messageId"]
	hear(t, kit, `{"type":"message","subtype":"message_deleted","ts":"1.9","deleted_ts":"`+ts+`","previous_message":{"user":"U1","ts":"`+ts+`"}}`)
	hear(t, kit, changed(`{"user":"U1","text":"yours","ts":"`+ts+`","edited":{"ts":"1.5"}}`))
	if diff := cmp.Diff([]string{`text {"text":"mine"}`}, known(t, kit)); diff != "" {
		t.Error(diff)
	}
}

func TestMentionIsOneMessageAndAnEvent(t *testing.T) {
	t.Parallel()
	message := `{"type":"message","user":"U1","text":"<@UBOT> tea","ts":"1.1","thread_ts":"1.0"}`
	mention := `{"type":"app_mention","user":"U1","text":"<@UBOT> tea","ts":"1.1","thread_ts":"1.0","event_ts":"1.1"}`
	for name, heard := range map[string][]string{
		"after the message":   {message, mention},
		"before the message":  {mention, message},
		"without the message": {mention},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			var messages []client.Message
			var told []client.Event
			for _, event := range heard {
				o := hear(t, kit, event)
				messages, told = append(messages, o.Messages...), append(told, o.Events...)
			}
			if len(messages) != 1 || len(told) != 1 {
				t.Fatalf("%d messages and %d events", len(messages), len(told))
			}
			want := `{"user":"U1","channel":"C1","text":"\u003c@UBOT\u003e tea","ts":"1.1","threadTs":"1.0","eventTs":"1.1"}`
			if diff := cmp.Diff(want, string(told[0].Payload)) + cmp.Diff("slack:appMentioned", told[0].Type); diff != "" {
				t.Error(diff)
			}
			if about := told[0]; about.MessageID != messages[0].ID || about.ConversationID != messages[0].ConversationID || about.UserID != messages[0].UserID {
				t.Errorf("the event is about %+v", about)
			}
		})
	}
}

func TestFilesAreOfTheirKind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, files, want string }{
		"a picture":              {"", `{"title":"T","name":"a.png","mimetype":"image/png","url_private":"https://f/a","permalink":"https://p/a"}`, `image {"imageUrl":"https://f/a","title":"T"}`},
		"a sound":                {"", `{"name":"a.mp3","mimetype":"audio/mpeg","url_private":"https://f/a"}`, `audio {"audioUrl":"https://f/a","title":"a.mp3"}`},
		"a film":                 {"", `{"name":"a.mp4","mimetype":"video/mp4","url_private":"https://f/a"}`, `video {"videoUrl":"https://f/a","title":"a.mp4"}`},
		"anything else":          {"", `{"name":"a.pdf","mimetype":"application/pdf","url_private":"https://f/a"}`, `file {"fileUrl":"https://f/a","title":"a.pdf"}`},
		"another workspace's":    {"", `{"name":"a.png","mimetype":"image/png","permalink":"https://p/a","file_access":"check_file_info"}`, `file {"fileUrl":"https://p/a","title":"a.png"}`},
		"one that is gone":       {"look", `{"mode":"tombstone"}`, `text {"text":"look"}`},
		"nothing but what's not": {"", `{"mode":"tombstone"}`, ``},
		"with words": {"look", `{"name":"a.png","mimetype":"image/png","url_private":"https://f/a"}`,
			`bloc {"items":[{"type":"text","payload":{"text":"look"}},{"type":"image","payload":{"imageUrl":"https://f/a","title":"a.png"}}]}`},
		"several": {"", `{"name":"a","url_private":"https://f/a"},{"name":"b","url_private":"https://f/b"}`,
			`bloc {"items":[{"type":"file","payload":{"fileUrl":"https://f/a","title":"a"}},{"type":"file","payload":{"fileUrl":"https://f/b","title":"b"}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			hear(t, kit, `{"type":"message","subtype":"file_share","user":"U1","ts":"1.1","text":"`+tc.text+`","files":[`+tc.files+`]}`)
			if diff := cmp.Diff(tc.want, strings.Join(known(t, kit), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFileIsFetchedWithTheToken(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("file_share", sampleArgs()))
	if o.Err != nil || len(o.Messages) != 1 || !strings.Contains(string(o.Messages[0].Payload), kit.URL+"/files-pri/T0TOWPATH1-F0TOWPATH1/lock.png") {
		t.Fatalf("%v, %s", o.Err, o.Messages[0].Payload)
	}
	file := slack.DownloadFile{URL: kit.URL + "/files-pri/T0TOWPATH1-F0TOWPATH1/lock.png"}
	o = kit.Action("downloadFile", file)
	if want := `{"type":"image/png","size":8,"data":"` + base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\n")) + `"}`; o.Err != nil || string(o.Action.Output) != want {
		t.Errorf("%v, %+v", o.Err, o.Requests)
	}
	kit.Script(
		fake.Rule{Status: 200, Headers: map[string]string{"Content-Type": "text/html; charset=utf-8"}, Body: "<!DOCTYPE html><html>Sign in", Times: 1},
		fake.Rule{Status: 200, Body: strings.Repeat("a", 512<<10+1), Times: 1},
		fake.Rule{Status: 200, Body: strings.Repeat("a", 2<<20), Times: 1},
		fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "7"}, Times: 1},
	)
	for _, want := range []handlers.Decision{handlers.GiveUp, handlers.GiveUp, handlers.GiveUp, handlers.Retry} {
		if o = kit.Action("downloadFile", file); o.Verdict.Decision != want {
			t.Errorf("%v is judged %s, want %s", o.Err, o.Verdict.Decision, want)
		}
	}
}

func TestStoreThatIsAwayIsTriedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.StoreFails(errors.New("away"))
	for _, sample := range []string{"message_changed", "message_deleted", "app_mention", "slash_command", "block_actions", "file_share", "reaction_removed"} {
		if o := kit.Webhook(kit.Sample(sample, sampleArgs())); o.Verdict.Decision != handlers.Retry {
			t.Errorf("%s: %v", sample, o.Err)
		}
	}
}
