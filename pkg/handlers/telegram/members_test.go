package telegram_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/telegram"
)

var errStore = errors.New("the store is away")

const inGroup = `"chat":{"id":-1001,"type":"supergroup","title":"Lock"}`

// The four ways to tell of somebody's coming and going at a time.
func cameAsMessage(id, at int, who string) string {
	return fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":%d,%s,"from":{"id":42,"first_name":"Ada"},"new_chat_members":[%s]}}`, id, id, at, inGroup, who)
}

func wentAsMessage(id, at int, who string) string {
	return fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":%d,%s,"from":{"id":42,"first_name":"Ada"},"left_chat_member":%s}}`, id, id, at, inGroup, who)
}

func change(id, at int, before, after string) string {
	return fmt.Sprintf(`{"update_id":%d,"chat_member":{%s,"from":{"id":42,"first_name":"Ada"},"date":%d,"old_chat_member":{"user":%s,%s},"new_chat_member":{"user":%s,%s}}}`,
		id, inGroup, at, ada, before, ada, after)
}

const (
	ada    = `{"id":42,"is_bot":false,"first_name":"Ada","username":"ada"}`
	left   = `"status":"left"`
	member = `"status":"member"`
)

func came(id, at int) string { return change(id, at, left, member) }
func went(id, at int) string { return change(id, at, member, left) }

func TestComingAndGoingAreToldOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		updates []string
		want    string // j for joined, l for left, - for nothing, of each update
	}{
		"by a message":                 {[]string{cameAsMessage(1, 100, ada)}, "j"},
		"by a change":                  {[]string{came(1, 100)}, "j"},
		"by both":                      {[]string{cameAsMessage(1, 100, ada), came(2, 100)}, "j-"},
		"by both, a second apart":      {[]string{cameAsMessage(1, 100, ada), came(2, 101)}, "j-"},
		"the change first":             {[]string{came(1, 101), cameAsMessage(2, 100, ada)}, "j-"},
		"going, by both":               {[]string{wentAsMessage(1, 100, ada), went(2, 100)}, "l-"},
		"coming and going, by both":    {[]string{cameAsMessage(1, 100, ada), came(2, 100), wentAsMessage(3, 200, ada), went(4, 200)}, "j-l-"},
		"all messages first":           {[]string{cameAsMessage(1, 100, ada), wentAsMessage(2, 103, ada), cameAsMessage(3, 106, ada), came(4, 100), went(5, 103), came(6, 106)}, "jlj---"},
		"again, unseen in between":     {[]string{came(1, 100), came(2, 5000)}, "jj"},
		"again at once":                {[]string{came(1, 100), went(2, 105), came(3, 110)}, "jlj"},
		"an old one":                   {[]string{came(1, 5000), cameAsMessage(2, 100, ada)}, "j-"},
		"without a date":               {[]string{cameAsMessage(1, 0, ada), came(2, 0)}, "j-"},
		"banned":                       {[]string{came(1, 100), change(2, 200, member, `"status":"kicked"`)}, "jl"},
		"restricted and still there":   {[]string{came(1, 100), change(2, 200, member, `"status":"restricted","is_member":true`)}, "j-"},
		"restricted and gone":          {[]string{came(1, 100), change(2, 200, `"status":"restricted","is_member":true`, `"status":"restricted","is_member":false`)}, "jl"},
		"as an admin":                  {[]string{change(1, 100, left, `"status":"administrator"`)}, "j"},
		"back from a ban, as a member": {[]string{change(1, 100, `"status":"kicked"`, member)}, "j"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit, got := install(t), ""
			for _, one := range tc.updates {
				o := arrive(t, kit, one)
				got += map[[2]int]string{{0, 0}: "-", {1, 0}: "j", {0, 1}: "l"}[[2]int{
					len(handlerstest.Fired(o, telegram.MemberJoined)), len(handlerstest.Fired(o, telegram.MemberLeft)),
				}]
				kit.Retry(o)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			list, err := kit.Client.ListEvents(t.Context(), client.ListEventsInput{})
			if err != nil || len(list.Events) != len(tc.want)-count(tc.want, '-') {
				t.Errorf("%d events, %v", len(list.Events), err)
			}
		})
	}
}

func count(text string, what rune) (n int) {
	for _, r := range text {
		if r == what {
			n++
		}
	}
	return n
}

// The attempt that dies between telling and noting is made again.
func TestComingIsToldOnceThoughTheStoreFailsInBetween(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := arrive(t, kit, came(1, 100))
	for _, call := range o.Calls { // as if what was noted had been lost
		if in, ok := call.Input.(*client.PatchStateInput); ok {
			_, err := kit.Client.SetState(t.Context(), client.SetStateInput{Type: in.Type, ID: in.ID, Name: in.Name, Payload: []byte("null")})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	kit.Retry(o)
	if list, err := kit.Client.ListEvents(t.Context(), client.ListEventsInput{}); err != nil || len(list.Events) != 1 {
		t.Errorf("%d events, %v", len(list.Events), err)
	}
	if o := arrive(t, kit, cameAsMessage(2, 100, ada)); len(o.Events) != 0 {
		t.Errorf("told again: %v", o.Effects())
	}
}

func TestWhoComesIsTold(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := arrive(t, kit, cameAsMessage(1, 100, ada+`,{"id":43,"first_name":"Bo","language_code":"nl"},{"id":4201,"is_bot":true,"first_name":"Towpath"}`))
	chat := telegram.Chat{ID: "-1001", Type: "supergroup", Title: "Lock"}
	by := &telegram.Person{ID: "42", FirstName: "Ada"}
	want := []telegram.Member{
		{Chat: chat, Date: 100, User: telegram.Person{ID: "42", FirstName: "Ada", Username: "ada"}},
		{Chat: chat, Date: 100, By: by, User: telegram.Person{ID: "43", FirstName: "Bo", LanguageCode: "nl"}},
		{Chat: chat, Date: 100, By: by, User: telegram.Person{ID: "4201", FirstName: "Towpath", IsBot: true, IsSelf: true}},
	}
	if diff := cmp.Diff(want, handlerstest.Fired(o, telegram.MemberJoined)); diff != "" {
		t.Error(diff)
	}
	in := kit.Conversation("group", client.Tags{"chatId": "-1001"})
	if event := o.Events[0]; event.Type != "telegram:memberJoined" || event.ConversationID != in.ID || event.UserID == "" {
		t.Errorf("event is %+v", event)
	}
}

func TestAButtonIsToldAndAnswered(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := arrive(t, kit, `{"update_id":1,"callback_query":{"id":"4382","from":`+ada+`,"data":"tea","message":{"message_id":9,"date":1,"chat":{"id":42,"type":"private"},"text":"Tea?"}}}`)
	want := []telegram.Callback{{
		ID: "4382", Data: "tea", User: telegram.Person{ID: "42", FirstName: "Ada", Username: "ada"},
		Chat: &telegram.Chat{ID: "42", Type: "private"}, MessageID: "9",
	}}
	if diff := cmp.Diff(want, handlerstest.Fired(o, telegram.CallbackQuery)); diff != "" {
		t.Error(diff)
	}
	if len(o.Messages) != 0 || o.Events[0].ConversationID != kit.Conversation("private", client.Tags{"chatId": "42"}).ID {
		t.Errorf("messages %v, event %+v", o.Messages, o.Events[0])
	}
	if r := o.Requests; len(r) != 1 || r[0].Path != "/bot"+botToken+"/answerCallbackQuery" || r[0].Body != `{"callback_query_id":"4382"}` {
		t.Errorf("requests are %+v", r)
	}
	kit.Retry(o)
	if list, err := kit.Client.ListEvents(t.Context(), client.ListEventsInput{}); err != nil || len(list.Events) != 1 {
		t.Errorf("%d events, %v", len(list.Events), err)
	}
}

func TestAButtonBelowAnInlineMessage(t *testing.T) {
	t.Parallel()
	o := arrive(t, install(t), `{"update_id":1,"callback_query":{"id":"1","from":`+ada+`,"inline_message_id":"x","game_short_name":"chess"}}`)
	want := []telegram.Callback{{ID: "1", User: telegram.Person{ID: "42", FirstName: "Ada", Username: "ada"}, InlineMessageID: "x", GameShortName: "chess"}}
	if diff := cmp.Diff(want, handlerstest.Fired(o, telegram.CallbackQuery)); diff != "" {
		t.Error(diff)
	}
}

func TestAButtonThatIsTooOldIsToldAllTheSame(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule fake.Rule
		want handlers.Decision
	}{
		"too old":  {scripted(400, `{"ok":false,"error_code":400,"description":"Bad Request: query is too old and response timeout expired or query ID is invalid"}`), handlers.Done},
		"busy":     {scripted(429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}`), handlers.Retry},
		"bad luck": {scripted(502, `<html>`), handlers.Retry},
		"revoked":  {scripted(401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`), handlers.Pause},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Webhook(kit.Sample("callback_query", handlers.SampleArgs{}))
			if len(o.Events) != 1 || o.Verdict.Decision != tc.want {
				t.Errorf("%d events, verdict %+v", len(o.Events), o.Verdict)
			}
		})
	}
}

// scripted is an answer of Telegram's.
func scripted(status int, body string) fake.Rule {
	return fake.Rule{Status: status, Body: body, Headers: map[string]string{"Content-Type": "application/json"}, Times: 1}
}

const (
	movedHere = `{"update_id":1,"message":{"message_id":70,"date":1,"chat":{"id":-55,"type":"group","title":"Lock"},"from":{"id":42},"migrate_to_chat_id":-1001}}`
	movedFrom = `{"update_id":2,"message":{"message_id":1,"date":1,"chat":{"id":-1001,"type":"supergroup","title":"Lock"},"from":{"id":42},"migrate_from_chat_id":-55}}`
)

func TestAGroupThatBecomesASupergroupKeepsItsConversation(t *testing.T) {
	t.Parallel()
	for name, updates := range map[string][]string{
		"told in both chats":   {movedHere, movedFrom},
		"told in disorder":     {movedFrom, movedHere},
		"told in one":          {movedHere},
		"told in the new one":  {movedFrom},
		"told again and again": {movedHere, movedFrom, movedHere, movedFrom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			write := func(id, chat int) string {
				o := arrive(t, kit, `{"update_id":`+strconv.Itoa(id)+`,"message":{"message_id":1,"date":1,"chat":{"id":`+strconv.Itoa(chat)+`},"from":{"id":42},"text":"a"}}`)
				if len(o.Messages) != 1 {
					t.Fatalf("%d messages", len(o.Messages))
				}
				return o.Messages[0].ConversationID
			}
			before := write(10, -55)
			for _, one := range updates {
				o := arrive(t, kit, one)
				if len(o.Messages)+len(o.Events) != 0 {
					t.Errorf("made %v", o.Effects())
				}
				kit.Retry(o)
			}
			// The first message of the supergroup has the id of the group's first one.
			if after := write(11, -1001); after != before {
				t.Error("the conversation is another one")
			}
			if list, err := kit.Client.ListConversations(t.Context(), client.ListConversationsInput{}); err != nil || len(list.Conversations) != 1 {
				t.Errorf("%d conversations, %v", len(list.Conversations), err)
			}
		})
	}
}

func TestAGroupThatNobodyKnowsMoves(t *testing.T) {
	t.Parallel()
	if o := arrive(t, install(t), movedHere); len(o.Effects()) != 0 {
		t.Errorf("made %v", o.Effects())
	}
}
