package github_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/github"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

const (
	at     = "2026-11-21T09:30:00Z"
	commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
)

var (
	repository = github.Repo{FullName: "towpath/example", URL: "https://github.com/towpath/example", DefaultBranch: "main"}
	somebody   = github.Account{ID: id("somebody"), Login: "somebody", Type: "User"}
	keeper     = github.Account{ID: id("keeper"), Login: "keeper", Type: "User"}
	place      = client.Tags{"repository": "towpath/example", "number": "7"}
)

// id is the one that the samples give to a name.
func id(name string) int64 {
	h := uint32(2166136261)
	for _, c := range []byte(name) {
		h = (h ^ uint32(c)) * 16777619
	}
	return int64(h)
}

func sampleIssue(kind string) github.Issue {
	return github.Issue{
		Number: 7, Title: "The rope is too short", Body: "Too **short**", State: "open", URL: "https://github.com/towpath/example/" + kind + "/7",
		User: somebody, Labels: []string{"bug"}, Assignees: []github.Account{keeper}, CreatedAt: at, UpdatedAt: at,
	}
}

// handled sends a sample the whole way, and again, which must tell nothing new.
func handled(t *testing.T, kit *handlerstest.Kit, sample string) handlerstest.Outcome {
	t.Helper()
	o := kit.Webhook(kit.Sample(sample, sampleArgs()))
	if o.Refused != nil || o.Err != nil || len(o.Parts) != 1 || o.Parts[0].ID != "0TEST1" || len(o.Events) != 1 {
		t.Fatalf("%v, %v, parts %+v, events %v", o.Refused, o.Err, o.Parts, o.Events)
	}
	again := kit.Retry(o)
	if again.Err != nil || again.Events[0].ID != o.Events[0].ID || len(again.Messages) != len(o.Messages) {
		t.Errorf("again: %v, %v", again.Err, again.Events)
	}
	for i := range o.Messages {
		if again.Messages[i].ID != o.Messages[i].ID {
			t.Error("again: another message")
		}
	}
	return o
}

func TestIssueEventsAreFired(t *testing.T) {
	t.Parallel()
	for sample, change := range map[string]func(*github.IssueEvent){
		"issues_opened": func(e *github.IssueEvent) { e.Action = "opened" },
		"issues_closed": func(e *github.IssueEvent) {
			e.Action, e.Issue.State, e.Issue.StateReason = "closed", "closed", "completed"
		},
	} {
		t.Run(sample, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			o := handled(t, kit, sample)
			want := github.IssueEvent{Issue: sampleIssue("issues"), Repository: repository, Sender: somebody}
			change(&want)
			if diff := cmp.Diff([]github.IssueEvent{want}, handlerstest.Fired(o, github.Issues)); diff != "" || o.Parts[0].Key != "towpath/example#7" {
				t.Errorf("key %s: %s", o.Parts[0].Key, diff)
			}
			if about := kit.Conversation("comments", place); o.Events[0].ConversationID != about.ID {
				t.Errorf("event is about conversation %q", o.Events[0].ConversationID)
			}
		})
	}
}

func TestPullRequestEventsAreFired(t *testing.T) {
	t.Parallel()
	issue := sampleIssue("pull")
	want := github.PullRequestEvent{Action: "opened", Repository: repository, Sender: somebody, PullRequest: github.PullRequest{
		Number: 7, Title: issue.Title, Body: issue.Body, State: "open", URL: issue.URL, User: somebody, Labels: issue.Labels, Assignees: issue.Assignees,
		Head:      github.Branch{Ref: "longer-rope", SHA: commit, Repository: "towpath/example"},
		Base:      github.Branch{Ref: "main", SHA: strings.Repeat("1", 40), Repository: "towpath/example"},
		CreatedAt: at, UpdatedAt: at,
	}}
	kit := install(t)
	o := handled(t, kit, "pull_request_opened")
	if diff := cmp.Diff([]github.PullRequestEvent{want}, handlerstest.Fired(o, github.PullRequests)); diff != "" || o.Parts[0].Key != "towpath/example#7" {
		t.Errorf("key %s: %s", o.Parts[0].Key, diff)
	}
	want.Action, want.PullRequest.State, want.PullRequest.Merged = "closed", "closed", true
	o = handled(t, install(t), "pull_request_merged")
	if diff := cmp.Diff([]github.PullRequestEvent{want}, handlerstest.Fired(o, github.PullRequests)); diff != "" {
		t.Error(diff)
	}
}

func TestPushIsFired(t *testing.T) {
	t.Parallel()
	o := handled(t, install(t), "push")
	want := github.Push{
		Ref: "refs/heads/main", Branch: "main", Before: strings.Repeat("1", 40), After: commit, Repository: repository, Sender: somebody,
		URL: "https://github.com/towpath/example/compare/111111111111..." + commit[:12],
		Commits: []github.Commit{{
			ID: commit, Message: "Too **short**", URL: "https://github.com/towpath/example/commit/" + commit, Time: at,
			Author: github.Author{Name: "somebody", Email: "somebody@example.com", Login: "somebody"},
			Added:  []string{"rope.txt"}, Removed: []string{}, Modified: []string{"README.md"},
		}},
	}
	if diff := cmp.Diff([]github.Push{want}, handlerstest.Fired(o, github.Pushed)); diff != "" || o.Parts[0].Key != "towpath/example:refs/heads/main" {
		t.Errorf("key %s: %s", o.Parts[0].Key, diff)
	}
}

func TestCommentIsMessageAndEvent(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := handled(t, kit, "issue_comment")
	comment := github.Comment{
		ID: id("comment 0TEST1"), Body: "Too **short**", User: somebody, CreatedAt: at, UpdatedAt: at,
		URL: "https://github.com/towpath/example/issues/7#issuecomment-" + strconv.FormatInt(id("comment 0TEST1"), 10),
	}
	want := github.CommentEvent{Action: "created", Comment: comment, Issue: sampleIssue("issues"), Repository: repository, Sender: somebody}
	if diff := cmp.Diff([]github.CommentEvent{want}, handlerstest.Fired(o, github.Commented)); diff != "" {
		t.Error(diff)
	}
	if len(o.Messages) != 1 {
		t.Fatal(o.Messages)
	}
	message, event := o.Messages[0], o.Events[0]
	if diff := cmp.Diff(client.Tags{"commentId": strconv.FormatInt(comment.ID, 10)}, message.Tags); diff != "" || string(message.Payload) != `{"text":"Too **short**"}` {
		t.Errorf("payload %s, tags %s", message.Payload, diff)
	}
	if event.ConversationID != message.ConversationID || event.MessageID != message.ID || event.UserID != message.UserID {
		t.Errorf("the event is not about the message: %+v", event)
	}
	user, err := kit.Client.GetUser(t.Context(), message.UserID)
	if err != nil || user.User.Name != "somebody" || user.User.Tags["githubUserId"] != strconv.FormatInt(somebody.ID, 10) {
		t.Errorf("%v: %+v", err, user)
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	o := handled(t, install(t), "issue_comment_bot")
	if fired := handlerstest.Fired(o, github.Commented); len(o.Messages) != 0 || !fired[0].IsPullRequest || fired[0].Comment.User.Type != "Bot" {
		t.Errorf("a bot's: messages %v, fired %+v", o.Messages, fired)
	}
	for _, action := range []string{"edited", "deleted"} {
		o := install(t).Unsigned(post("issue_comment", `{"action":"`+action+
			`","repository":{"full_name":"a/b"},"issue":{"number":1},"comment":{"id":1,"body":"a","user":{"id":1,"type":"User"}}}`))
		if o.Err != nil || len(o.Messages) != 0 || len(o.Events) != 1 || handlerstest.Fired(o, github.Commented)[0].Action != action {
			t.Errorf("%s: %v, %v", action, o.Err, o.Effects())
		}
	}
}

// heard is what GitHub tells of a comment that arrived at it.
func heard(t *testing.T, request fake.Request) *events.Request {
	t.Helper()
	var in struct {
		Body string `json:"body"`
	}
	if err := json.Unmarshal([]byte(request.Body), &in); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"action": "created", "repository": map[string]any{"full_name": "towpath/example"}, "issue": map[string]any{"number": 7},
		"comment": map[string]any{"id": 1, "body": in.Body, "user": map[string]any{"id": 1, "login": "towpath-bot", "type": "User"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return post("issue_comment", string(body))
}

func TestBotDoesNotHearItself(t *testing.T) {
	t.Parallel()
	kit := install(t)
	said := kit.Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Conversation: place})
	if said.Err != nil {
		t.Fatal(said.Err)
	}
	back := heard(t, said.Requests[0])
	if o := kit.Unsigned(back); o.Err != nil || len(o.Calls) != 0 {
		t.Errorf("%v, asked for %v", o.Err, o.Effects())
	}
	// To another installation it is somebody's comment, without the mark.
	o := install(t).Unsigned(back)
	if o.Err != nil || len(o.Messages) != 1 || string(o.Messages[0].Payload) != `{"text":"a"}` {
		t.Errorf("elsewhere: %v, %v", o.Err, o.Messages)
	}
}

func TestFormIsHandled(t *testing.T) {
	t.Parallel()
	kit := install(t)
	r := kit.Sample("issue_comment", sampleArgs())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = []byte("payload=" + url.QueryEscape(string(r.Body)))
	if o := kit.Unsigned(r); o.Err != nil || o.Refused != nil || len(o.Messages) != 1 {
		t.Errorf("%v, %v, %v", o.Refused, o.Err, o.Effects())
	}
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	t.Parallel()
	encode := func(value any) string {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		return string(encoded)
	}
	const repository = `,"repository":{"full_name":"a/b"}`
	for _, text := range []string{strings.Repeat("€", 65_536), strings.Repeat("<", 65_536), strings.Repeat("\n", 65_536)} {
		body := encode(text)
		for event, content := range map[string]string{
			"issues":        `{"issue":{"number":1,"body":` + body + `}` + repository + `}`,
			"pull_request":  `{"pull_request":{"number":1,"body":` + body + `}` + repository + `}`,
			"issue_comment": `{"action":"created","issue":{"number":1,"body":` + body + `},"comment":{"id":1,"user":{"id":1},"body":` + body + `}` + repository + `}`,
			"push":          `{"ref":"refs/heads/x","commits":[{"id":"1","message":` + body + `},{"id":"2","message":` + body + `}]` + repository + `}`,
		} {
			if o := install(t).Unsigned(post(event, content)); o.Err != nil || len(o.Events) != 1 {
				t.Errorf("%s: %v", event, o.Err)
			}
		}
	}
}

func TestOfManyCommitsTheNewestAreTold(t *testing.T) {
	t.Parallel()
	paths := `["` + strings.Repeat("a/very/long/path", 10_000) + `"]`
	var commits []string
	for i := range 2000 {
		commits = append(commits, `{"id":"`+strconv.Itoa(i)+`","message":"rope","added":["a.txt"]}`)
	}
	commits = append(commits, `{"id":"last","message":"many files","added":`+paths+`}`)
	o := install(t).Unsigned(post("push", `{"ref":"refs/heads/x","commits":[`+strings.Join(commits, ",")+`]}`))
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	push := handlerstest.Fired(o, github.Pushed)[0]
	kept := push.Commits
	if len(kept) < 500 || len(kept)+push.Omitted != 2001 || kept[0].ID != strconv.Itoa(push.Omitted) || len(kept[0].Added) != 1 {
		t.Errorf("%d kept, %d omitted, the first is %+v", len(kept), push.Omitted, kept[0])
	}
	if last := kept[len(kept)-1]; last.ID != "last" || last.Message != "many files" || len(last.Added) != 0 {
		t.Errorf("the last is %s, with %d paths", last.ID, len(last.Added))
	}
}

func TestForcedRedeliveryIsTheSameDelivery(t *testing.T) {
	t.Parallel()
	kit := install(t)
	first, second := kit.Webhook(kit.Sample("push", sampleArgs())), kit.Webhook(kit.Sample("push", sampleArgs()))
	if first.Parts[0].DeliveryID != second.Parts[0].DeliveryID {
		t.Error("is another delivery")
	}
}

func TestUnreadableIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, tc := range [][2]string{
		{"issues", `{}`}, {"issues", `{"issue":{"number":1}}`}, {"issues", `{"issue":{"number":0},"repository":{"full_name":"a/b"}}`},
		{"issues", `{"issue":{"number":"x"}}`}, {"pull_request", `{"issue":{"number":1}}`}, {"push", `{}`}, {"push", `[]`},
		{"issue_comment", `{"issue":{"number":1},"repository":{"full_name":"a/b"}}`},
	} {
		if o := install(t).Unsigned(post(tc[0], tc[1])); o.Verdict.Decision != handlers.GiveUp || len(o.Calls) != 0 {
			t.Errorf("%v: %v, %+v", tc, o.Refused, o.Verdict)
		}
	}
	if o := install(t).Unsigned(post("star", `[]`)); o.Err != nil || o.Refused != nil || len(o.Calls) != 0 {
		t.Errorf("what nobody looks at: %v, %v", o.Refused, o.Err)
	}
}

func TestStoreThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for _, sample := range []string{"issues_opened", "pull_request_opened", "push", "issue_comment"} {
		kit.StoreFails(errors.New("the store is away"))
		o := kit.Webhook(kit.Sample(sample, sampleArgs()))
		if o.Verdict.Decision != handlers.Retry {
			t.Errorf("%s: %+v", sample, o.Verdict)
		}
		kit.StoreFails(nil)
		if o = kit.Retry(o); o.Err != nil || len(o.Events) != 1 {
			t.Errorf("%s again: %v, %v", sample, o.Err, o.Effects())
		}
	}
}

func TestRecordedPayloads(t *testing.T) {
	t.Parallel()
	for file, tc := range map[string]struct{ event, key, calls string }{
		"github.issues_opened.json":         {"issues", "Codertocat/Hello-World#1", "getOrCreateConversation createEvent"},
		"github.issue_comment_created.json": {"issue_comment", "Codertocat/Hello-World#1", "getOrCreateConversation getOrCreateUser createMessage createEvent"},
		"github.push.json":                  {"push", "Codertocat/Hello-World:refs/tags/simple-tag", "createEvent"},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			o := install(t).Unsigned(post(tc.event, string(handlerstest.Payload(t, file))))
			if o.Err != nil || o.Refused != nil || o.Parts[0].Key != tc.key {
				t.Fatalf("%v, %v, %+v", o.Refused, o.Err, o.Parts)
			}
			if diff := cmp.Diff(tc.calls, strings.Join(o.Effects(), " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
	if o := install(t).Unsigned(post("ping", string(handlerstest.Payload(t, "github.ping.json")))); !o.Handshake {
		t.Error("a ping is no handshake")
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{Integration: github.Integration, Configuration: configuration, Forgetful: true})
	for name := range github.Integration.Samples {
		r := kit.Sample(name, sampleArgs())
		f.Add(r.Header.Get("X-Github-Event"), "application/json", r.Body)
		f.Add(r.Header.Get("X-Github-Event"), "application/x-www-form-urlencoded", []byte("payload="+url.QueryEscape(string(r.Body))))
	}
	f.Add("issue_comment", "", []byte(`{"issue":{"number":1},"comment":{"id":1e9,"body":"<!-- towpath  -->","user":null},"action":"created"}`))
	f.Fuzz(func(t *testing.T, event, contentType string, body []byte) {
		r := post(event, string(body))
		r.Header.Set("Content-Type", contentType)
		o := kit.With(t).Unsigned(r)
		if o.Refused == nil && o.Err != nil && o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("would be tried again: %v", o.Err)
		}
	})
}
