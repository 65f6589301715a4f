package linear_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/linear"
)

// sampleIssue is the issue of the samples, as the bot is told of it.
func sampleIssue() linear.Issue {
	const at = "2026-11-21T09:30:00.123Z"
	return linear.Issue{
		ID: issueID, Identifier: "TOW-42", Number: 42, Title: "Too **short**", Description: "It ends **before** the lock.",
		URL: "https://linear.app/towpath/issue/TOW-42/the-rope-is-too-short", Priority: 2, PriorityLabel: "High",
		State: linear.State{Name: "Todo", Type: "unstarted"}, Team: linear.Team{Key: "TOW", Name: "Towpath"},
		Labels: []linear.Label{{Name: "Bug"}}, CreatorID: userID, CreatedAt: at, UpdatedAt: at,
	}
}

func TestIssueEventsAreFired(t *testing.T) {
	t.Parallel()
	for sample, tc := range map[string]struct {
		event  events.Type[linear.IssueChange]
		action string
		before string
	}{
		"issueCreated": {linear.IssueCreated, "create", ""},
		"issueUpdated": {linear.IssueUpdated, "update", `{"priority":0,"title":"Rope too short","updatedAt":"2026-11-21T08:30:00.123Z"}`},
		"issueDeleted": {linear.IssueDeleted, "remove", ""},
	} {
		t.Run(sample, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := kit.Webhook(kit.Sample(sample, sampleArgs()))
			if o.Err != nil || o.Refused != nil {
				t.Fatal(o.Err, o.Refused)
			}
			if len(o.Parts) != 1 || o.Parts[0].Key != issueID || len(o.Parts[0].ID) != 36 {
				t.Errorf("parts are %+v", o.Parts)
			}
			fired := handlerstest.Fired(o, tc.event)
			if len(fired) != 1 {
				t.Fatalf("fired %d, calls %v", len(fired), o.Effects())
			}
			got := fired[0]
			for _, id := range []*string{&got.Issue.State.ID, &got.Issue.Team.ID, &got.Issue.Labels[0].ID} {
				if len(*id) != 36 {
					t.Errorf("%q is no id", *id)
				}
				*id = ""
			}
			want := linear.IssueChange{
				Action: tc.action, Issue: sampleIssue(), Before: json.RawMessage(tc.before),
				Actor: &linear.Actor{ID: userID, Type: "user", Name: userID, Email: "somebody@example.com"},
			}
			if tc.before == "" {
				want.Before = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if about := kit.Conversation("issue", client.Tags{"issueId": issueID}); o.Events[0].ConversationID != about.ID {
				t.Errorf("event is about conversation %q, want %q", o.Events[0].ConversationID, about.ID)
			}
			if again := kit.Retry(o); again.Err != nil || len(again.Events) != 1 || again.Events[0].ID != o.Events[0].ID {
				t.Errorf("again: %v, %v", again.Err, again.Events)
			}
		})
	}
}

func TestRestoredIssueIsUpdated(t *testing.T) {
	t.Parallel()
	o := install(t).Unsigned(post(`{"action":"restore","type":"Issue","data":{"id":"i1","number":7,"team":{"key":"LIN"},"priority":1},"url":"https://l/i"}`))
	fired := handlerstest.Fired(o, linear.IssueUpdated)
	if o.Err != nil || len(fired) != 1 {
		t.Fatal(o.Err, o.Effects())
	}
	if got := fired[0]; got.Action != "restore" || got.Issue.Identifier != "LIN-7" || got.Issue.URL != "https://l/i" || got.Issue.Labels == nil {
		t.Errorf("got %+v", got)
	}
}

func TestCommentIsMessageAndEvent(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Webhook(kit.Sample("commentCreated", sampleArgs()))
	if o.Err != nil || len(o.Messages) != 1 || len(o.Events) != 1 {
		t.Fatalf("%v, messages %v, events %v", o.Err, o.Messages, o.Events)
	}
	said := handlerstest.Fired(o, linear.CommentCreated)[0]
	want := linear.Comment{
		ID: said.ID, Body: "Too **short**", IssueID: issueID, URL: "https://linear.app/towpath/issue/TOW-42/the-rope-is-too-short",
		User: &linear.Person{ID: userID, Name: userID, Email: "somebody@example.com"}, CreatedAt: "2026-11-21T09:30:00.123Z",
	}
	if diff := cmp.Diff(want, said); diff != "" || o.Parts[0].Key != issueID {
		t.Errorf("key %s: %s", o.Parts[0].Key, diff)
	}
	message := o.Messages[0]
	if diff := cmp.Diff(client.Tags{"commentId": said.ID}, message.Tags); diff != "" || string(message.Payload) != `{"text":"Too **short**"}` {
		t.Errorf("payload %s, tags %s", message.Payload, diff)
	}
	event := o.Events[0]
	if event.ConversationID != message.ConversationID || event.MessageID != message.ID || event.UserID != message.UserID {
		t.Errorf("the event is not about the message: %+v", event)
	}
	again := kit.Retry(o)
	if again.Err != nil || len(again.Messages) != 1 || again.Messages[0].ID != message.ID || again.Events[0].ID != event.ID {
		t.Errorf("again: %v, %v", again.Err, again.Messages)
	}
}

func TestWhoSaysAndWhere(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data     string
		messages int
		want     linear.Comment
		key      string
	}{
		"a user by id alone": {`{"id":"c1","body":"a","issueId":"i1","userId":"u1"}`, 1,
			linear.Comment{ID: "c1", Body: "a", IssueID: "i1", User: &linear.Person{ID: "u1"}}, "i1"},
		"in a thread": {`{"id":"c1","body":"a","issueId":"i1","userId":"u1","parentId":"c0"}`, 1,
			linear.Comment{ID: "c1", Body: "a", IssueID: "i1", ThreadID: "c0", User: &linear.Person{ID: "u1"}}, "i1"},
		"somebody in Slack": {`{"id":"c1","body":"a","issue":{"id":"i1"},"externalUser":{"id":"e1","name":"Jo"},"botActor":"{}"}`, 1,
			linear.Comment{ID: "c1", Body: "a", IssueID: "i1", User: &linear.Person{ID: "e1", Name: "Jo", External: true}}, "i1"},
		"an app": {`{"id":"c1","body":"a","issueId":"i1","userId":"u1","botActor":"{\"id\":\"b\"}"}`, 0,
			linear.Comment{ID: "c1", Body: "a", IssueID: "i1"}, "i1"},
		"on a project's update": {`{"id":"c1","body":"a","projectUpdateId":"p1","userId":"u1"}`, 0,
			linear.Comment{ID: "c1", Body: "a", User: &linear.Person{ID: "u1"}}, "c1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Unsigned(post(`{"action":"create","type":"Comment","data":` + tc.data + `}`))
			if o.Err != nil || len(o.Messages) != tc.messages || o.Parts[0].Key != tc.key {
				t.Fatalf("%v, %d messages, key %s", o.Err, len(o.Messages), o.Parts[0].Key)
			}
			if diff := cmp.Diff([]linear.Comment{tc.want}, handlerstest.Fired(o, linear.CommentCreated)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBotDoesNotHearItself(t *testing.T) {
	t.Parallel()
	kit := install(t)
	said := kit.Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Conversation: client.Tags{"issueId": issueID}})
	made := kit.Action("createIssue", linear.CreateIssue{TeamID: "t1", Title: "a"})
	if said.Err != nil || made.Err != nil {
		t.Fatal(said.Err, made.Err)
	}
	var issue linear.Created
	if err := json.Unmarshal(made.Action.Output, &issue); err != nil {
		t.Fatal(err)
	}
	comment := `{"action":"create","type":"Comment","data":{"id":"` + said.Message.Tags["commentId"] + `","body":"a","issueId":"` + issueID + `","userId":"u1"}}`
	create := `{"action":"create","type":"Issue","data":{"id":"` + issue.ID + `","title":"a"}}`
	for _, body := range []string{comment, create} {
		if o := kit.Unsigned(post(body)); o.Err != nil || len(o.Calls) != 0 {
			t.Errorf("%s: %v, asked for %v", body, o.Err, o.Effects())
		}
		// To another installation it is news, such as to a bot that helps out
		// with what this one creates.
		if o := install(t).Unsigned(post(body)); o.Err != nil || len(o.Events) != 1 {
			t.Errorf("%s: elsewhere: %v, asked for %v", body, o.Err, o.Effects())
		}
	}
	if o := kit.Unsigned(post(strings.Replace(create, `"create"`, `"update"`, 1))); len(o.Events) != 1 {
		t.Errorf("somebody changes the bot's issue: %v, asked for %v", o.Err, o.Effects())
	}
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	t.Parallel()
	long, err := json.Marshal(strings.Repeat("<€>", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	kit := install(t)
	o := kit.Unsigned(post(`{"action":"update","type":"Issue","data":{"id":"i1","description":` + string(long) +
		`},"updatedFrom":{"title":"Rope","description":` + string(long) + `}}`))
	if o.Err != nil || string(handlerstest.Fired(o, linear.IssueUpdated)[0].Before) != `{"description":null,"title":"Rope"}` {
		t.Errorf("%v, %v", o.Err, o.Effects())
	}
	o = kit.Unsigned(post(`{"action":"create","type":"Comment","data":{"id":"c1","issueId":"i1","userId":"u1","body":` + string(long) + `}}`))
	if o.Err != nil || len(o.Messages) != 1 || !strings.HasSuffix(string(o.Messages[0].Payload), `…"}`) {
		t.Errorf("%v, %v", o.Err, o.Effects())
	}
}

func TestWhatIsNotHandled(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"action":"update","type":"Comment","data":{"id":"c1","body":"a","issueId":"i1","userId":"u1"}}`,
		`{"action":"remove","type":"Comment","data":{"id":"c1","body":"a","issueId":"i1","userId":"u1"}}`,
		`{"action":"create","type":"Project","data":{"id":"p1"}}`,
		`{"action":"create","type":"OAuthApp"}`,
	} {
		if o := install(t).Unsigned(post(body)); o.Err != nil || o.Refused != nil || len(o.Calls) != 0 {
			t.Errorf("%s: %v, %v, asked for %v", body, o.Refused, o.Err, o.Effects())
		}
	}
}

func TestUnreadableIsRefused(t *testing.T) {
	t.Parallel()
	for body, fault := range map[string]string{
		`{`:                   "decode body",
		`[]`:                  "decode body",
		`{"type":"Issue"}`:    "type and action are missing",
		`{"action":"create"}`: "type and action are missing",
	} {
		if o := install(t).Unsigned(post(body)); o.Refused == nil || o.Status != http.StatusBadRequest || !strings.Contains(o.Refused.Error(), fault) {
			t.Errorf("%s: got %d, %v", body, o.Status, o.Refused)
		}
	}
	r := post(`{"action":"create","type":"Issue","data":{"id":"i1"}}`)
	r.Header.Del("Linear-Delivery")
	if o := install(t).Unsigned(r); o.Refused == nil || !strings.Contains(o.Refused.Error(), "Linear-Delivery is missing") {
		t.Errorf("no delivery id: %v", o.Refused)
	}
}

func TestUnreadableDataIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"action":"create","type":"Issue"}`, `{"action":"create","type":"Issue","data":{}}`, `{"action":"create","type":"Issue","data":{"id":7}}`,
		`{"action":"create","type":"Comment","data":[]}`, `{"action":"create","type":"Comment","data":{"body":"a"}}`,
	} {
		if o := install(t).Unsigned(post(body)); o.Verdict.Decision != handlers.GiveUp || len(o.Calls) != 0 {
			t.Errorf("%s: %+v, %v", body, o.Verdict, o.Refused)
		}
	}
}

func TestStoreThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.StoreFails(errors.New("the store is away"))
	o := kit.Webhook(kit.Sample("commentCreated", sampleArgs()))
	if o.Verdict.Decision != handlers.Retry {
		t.Fatalf("verdict is %+v", o.Verdict)
	}
	kit.StoreFails(nil)
	if o = kit.Retry(o); o.Err != nil || len(o.Messages) != 1 {
		t.Errorf("again: %v, %v", o.Err, o.Effects())
	}
}

func TestRecordedPayloads(t *testing.T) {
	t.Parallel()
	for file, tc := range map[string]struct{ key, calls string }{
		"linear.issue_create.json":   {"21e12515-fe5e-4923-88a1-e9ace5056473", "getOrCreateConversation createEvent"},
		"linear.comment_create.json": {issueID, "getOrCreateConversation getOrCreateUser createMessage createEvent"},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			o := install(t).Unsigned(post(string(handlerstest.Payload(t, file))))
			if o.Err != nil || o.Refused != nil || o.Parts[0].Key != tc.key {
				t.Fatalf("%v, %v, %+v", o.Refused, o.Err, o.Parts)
			}
			if diff := cmp.Diff(tc.calls, strings.Join(o.Effects(), " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: linear.Integration, Configuration: configuration, Forgetful: true})
	for name := range linear.Integration.Samples {
		f.Add(kit.Sample(name, sampleArgs()).Body)
	}
	f.Add([]byte(`{"action":"create","type":"Comment","data":{"id":"x","issue":7,"botActor":[]}}`))
	f.Add([]byte(`{"action":"create","type":"Issue","data":{"id":"x","number":1e400}}`))
	f.Add([]byte(`{"action":"restore","type":"Issue","data":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o := kit.With(t).Unsigned(post(string(body)))
		if o.Refused == nil && o.Err != nil && o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("would be tried again: %v", o.Err)
		}
	})
}
