package telegram_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func TestMessageReachesTheBot(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := arrive(t, kit, `{"update_id":10000,"message":{"message_id":1365,"date":1441645532,"text":"/start <b>",
		"chat":{"id":-1001,"type":"supergroup","title":"Lock"},"message_thread_id":9,"is_topic_message":true,"reply_to_message":{"message_id":1364,"chat":{"id":-1001}},
		"from":{"id":42,"is_bot":false,"first_name":"Ada","last_name":"Lock","username":"ada","language_code":"en"}}}`)
	if diff := cmp.Diff(handlers.Part{ID: "10000", Key: "-1001"}, o.Parts[0].Part); diff != "" {
		t.Error(diff)
	}
	m := o.Messages[0]
	if diff := cmp.Diff(client.Tags{"chatId": "-1001", "messageId": "1365", "threadId": "9", "replyTo": "1364"}, m.Tags) +
		cmp.Diff(`{"text":"/start \u003cb\u003e"}`, string(m.Payload)) + cmp.Diff("text", m.Type); diff != "" {
		t.Error(diff)
	}
	in := kit.Conversation("group", client.Tags{"chatId": "-1001"})
	if diff := cmp.Diff(client.Tags{"chatId": "-1001", "chatType": "supergroup", "title": "Lock"}, in.Tags); diff != "" || in.ID != m.ConversationID {
		t.Errorf("conversation %s: %s", in.ID, diff)
	}
	by, err := kit.Client.GetUser(t.Context(), m.UserID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(client.Tags{"userId": "42", "username": "ada", "languageCode": "en"}, by.User.Tags) + cmp.Diff("Ada Lock", by.User.Name); diff != "" {
		t.Error(diff)
	}
	if again := kit.Retry(o); len(again.Events) != 0 || again.Err != nil {
		t.Errorf("a second attempt made %v", again.Effects())
	}
	list, err := kit.Client.ListMessages(t.Context(), client.ListMessagesInput{ConversationID: in.ID})
	if err != nil || len(list.Messages) != 1 {
		t.Errorf("%d messages, %v", len(list.Messages), err)
	}
}

// contents are what a message may hold, and the type and payload it becomes.
var contents = map[string]struct{ json, typ, payload string }{
	"a text":                      {`"text":"a"`, "text", `{"text":"a"}`},
	"a picture":                   {`"caption":"A lock","photo":[{"file_id":"s","width":90,"height":90},{"file_id":"l","width":800,"height":600},{"file_id":"m","width":320,"height":320}]`, "image", `{"imageUrl":"telegram:photo/l","title":"A lock"}`},
	"a sticker":                   {`"sticker":{"file_id":"f","emoji":"👍","width":512,"height":512,"is_animated":false,"is_video":false}`, "image", `{"imageUrl":"telegram:sticker/f","title":"👍"}`},
	"an animated sticker":         {`"sticker":{"file_id":"f","emoji":"👍","is_animated":true}`, "text", `{"text":"👍"}`},
	"a video sticker":             {`"sticker":{"file_id":"f","emoji":"👍","is_video":true}`, "video", `{"videoUrl":"telegram:sticker/f","title":"👍"}`},
	"an animation":                {`"animation":{"file_id":"f","file_name":"a.mp4"},"document":{"file_id":"d"},"caption":"x"`, "video", `{"videoUrl":"telegram:animation/f","title":"x"}`},
	"a video":                     {`"video":{"file_id":"f","width":1,"height":1,"duration":3}`, "video", `{"videoUrl":"telegram:video/f"}`},
	"a round video":               {`"video_note":{"file_id":"f","length":240}`, "video", `{"videoUrl":"telegram:videoNote/f"}`},
	"a song":                      {`"audio":{"file_id":"f","performer":"Ada","title":"Lock"}`, "audio", `{"audioUrl":"telegram:audio/f","title":"Ada – Lock"}`},
	"a song without a singer":     {`"audio":{"file_id":"f","title":"Lock"}`, "audio", `{"audioUrl":"telegram:audio/f","title":"Lock"}`},
	"a song without a name":       {`"audio":{"file_id":"f","file_name":"a.mp3"}`, "audio", `{"audioUrl":"telegram:audio/f","title":"a.mp3"}`},
	"a voice":                     {`"voice":{"file_id":"f","duration":2}`, "audio", `{"audioUrl":"telegram:voice/f"}`},
	"a document":                  {`"document":{"file_id":"f","file_name":"a.pdf"}`, "file", `{"fileUrl":"telegram:document/f","title":"a.pdf"}`},
	"a document with a caption":   {`"document":{"file_id":"f","file_name":"a.pdf"},"caption":"Bill"`, "file", `{"fileUrl":"telegram:document/f","title":"Bill"}`},
	"a place":                     {`"location":{"latitude":52.5,"longitude":-4.25}`, "location", `{"latitude":52.5,"longitude":-4.25}`},
	"a place with a name":         {`"location":{"latitude":1,"longitude":2},"venue":{"location":{"latitude":1,"longitude":2},"title":"Lock","address":"Quay 1"}`, "location", `{"latitude":1,"longitude":2,"address":"Quay 1","title":"Lock"}`},
	"a contact":                   {`"contact":{"phone_number":"+3161","first_name":"Ada","last_name":"Lock"}`, "text", `{"text":"Ada Lock\n+3161"}`},
	"a poll":                      {`"poll":{"id":"1","question":"Tea?","options":[{"text":"Yes"},{"text":"No"}]}`, "text", `{"text":"Tea?\n1. Yes\n2. No"}`},
	"dice":                        {`"dice":{"emoji":"🎲","value":4}`, "text", `{"text":"🎲 4"}`},
	"a game":                      {`"game":{"title":"Chess","description":"Play"}`, "text", `{"text":"Chess\nPlay"}`},
	"what is new, with a caption": {`"paid_media":{"star_count":1},"caption":"Look"`, "text", `{"text":"Look"}`},
}

func TestEveryContentBecomesAMessage(t *testing.T) {
	t.Parallel()
	kit := install(t)
	id := 0
	for name, tc := range contents {
		id++
		o := arrive(t, kit, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1,"chat":{"id":5,"type":"private"},"from":{"id":5,"first_name":"A"},%s}}`, id, id, tc.json))
		if len(o.Messages) != 1 {
			t.Errorf("%s: %d messages", name, len(o.Messages))
			continue
		}
		if diff := cmp.Diff([]string{tc.typ, tc.payload}, []string{o.Messages[0].Type, string(o.Messages[0].Payload)}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAThreadOfAnswersIsNoTopic(t *testing.T) {
	t.Parallel()
	o := arrive(t, install(t), `{"update_id":1,"message":{"message_id":2,"date":1,"text":"a","chat":{"id":-1001},"message_thread_id":1,"from":{"id":42}}}`)
	if diff := cmp.Diff(client.Tags{"chatId": "-1001", "messageId": "2"}, o.Messages[0].Tags); diff != "" {
		t.Error(diff)
	}
}

// "towpath trigger" with one id writes a message, edits it, and tells twice of
// somebody's coming.
func TestSamplesOfOneIDAreAboutTheSame(t *testing.T) {
	t.Parallel()
	kit := install(t)
	made := func(name string) int {
		o := kit.Webhook(kit.Sample(name, handlers.SampleArgs{ID: "X", Conversation: "C", User: "U"}))
		if o.Err != nil || o.Refused != nil {
			t.Fatal(o.Err, o.Refused)
		}
		return len(o.Messages) + len(o.Events)
	}
	for name, pair := range map[string][2]string{"an edit": {"message", "edited_message"}, "a coming": {"new_chat_members", "chat_member"}} {
		if first, second := made(pair[0]), made(pair[1]); first != 1 || second != 0 {
			t.Errorf("%s: made %d and %d", name, first, second)
		}
	}
}

func TestWhatIsNoMessageMakesNone(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for name, update := range map[string]string{
		"somebody pinned":     `"message":{"message_id":1,"chat":{"id":5},"from":{"id":5},"pinned_message":{"message_id":1}}`,
		"a new title":         `"message":{"message_id":1,"chat":{"id":-5},"from":{"id":5},"new_chat_title":"x"}`,
		"another bot":         `"message":{"message_id":1,"chat":{"id":-5},"from":{"id":6,"is_bot":true},"text":"a"}`,
		"the bot itself":      `"message":{"message_id":1,"chat":{"id":-5},"from":{"id":4201},"text":"a"}`,
		"an unknown update":   `"poll_answer":{"poll_id":"1"}`,
		"a promotion":         `"chat_member":{"chat":{"id":-5},"from":{"id":5},"date":1,"old_chat_member":{"user":{"id":6},"status":"member"},"new_chat_member":{"user":{"id":6},"status":"administrator"}}`,
		"somebody restricted": `"chat_member":{"chat":{"id":-5},"from":{"id":5},"date":1,"old_chat_member":{"user":{"id":6},"status":"left"},"new_chat_member":{"user":{"id":6},"status":"restricted","is_member":false}}`,
	} {
		if o := arrive(t, kit, `{"update_id":1,`+update+`}`); len(o.Messages)+len(o.Events) != 0 {
			t.Errorf("%s: made %v", name, o.Effects())
		}
	}
}

func TestWhoWritesInTheNameOfAChatIsThatChat(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for name, tc := range map[string]struct{ update, user string }{
		"an anonymous admin":   {`"message":{"message_id":1,"chat":{"id":-1001,"type":"supergroup"},"from":{"id":1087968824,"is_bot":true},"sender_chat":{"id":-1001,"title":"Lock"},"text":"a"}`, "-1001"},
		"a channel":            {`"channel_post":{"message_id":2,"chat":{"id":-1002,"type":"channel","title":"News"},"sender_chat":{"id":-1002,"title":"News"},"text":"a"}`, "-1002"},
		"a channel that hides": {`"channel_post":{"message_id":3,"chat":{"id":-1003,"type":"channel","title":"News"},"text":"a"}`, "-1003"},
	} {
		o := arrive(t, kit, `{"update_id":1,`+tc.update+`}`)
		if len(o.Messages) != 1 {
			t.Errorf("%s: %d messages", name, len(o.Messages))
			continue
		}
		by, err := kit.Client.GetUser(t.Context(), o.Messages[0].UserID)
		if err != nil || by.User.Tags["userId"] != tc.user {
			t.Errorf("%s: user is %v, %v", name, by, err)
		}
	}
}

// edit is a message, or with a time that of its change.
func edit(kind string, id, edited int, content string) string {
	changed := ""
	if edited > 0 {
		changed = fmt.Sprintf(`"edit_date":%d,`, edited)
	}
	return fmt.Sprintf(`{"update_id":%d,"%s":{"message_id":%d,"date":50,%s"chat":{"id":5,"type":"private"},"from":{"id":5,"first_name":"A"},%s}}`,
		edited+id, kind, id, changed, content)
}

func stands(t *testing.T, kit *handlerstest.Kit) []string {
	t.Helper()
	list, err := kit.Client.ListMessages(t.Context(), client.ListMessagesInput{ConversationID: kit.Conversation("private", client.Tags{"chatId": "5"}).ID})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, m := range list.Messages {
		all = append(all, m.Type+" "+string(m.Payload)+" "+m.Tags["editDate"])
	}
	return all
}

func TestAnEditedMessageTakesThePlaceOfWhatItWas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		updates []string
		told    int
		want    []string
	}{
		"edited":            {[]string{edit("message", 1, 0, `"text":"a"`), edit("edited_message", 1, 60, `"text":"b"`)}, 1, []string{`text {"text":"b"} 60`}},
		"edited twice":      {[]string{edit("message", 1, 0, `"text":"a"`), edit("edited_message", 1, 60, `"text":"b"`), edit("edited_message", 1, 61, `"text":"c"`)}, 1, []string{`text {"text":"c"} 61`}},
		"in disorder":       {[]string{edit("message", 1, 0, `"text":"a"`), edit("edited_message", 1, 61, `"text":"c"`), edit("edited_message", 1, 60, `"text":"b"`)}, 1, []string{`text {"text":"c"} 61`}},
		"before it came":    {[]string{edit("edited_message", 1, 60, `"text":"b"`), edit("message", 1, 0, `"text":"a"`)}, 1, []string{`text {"text":"b"} 60`}},
		"never seen before": {[]string{edit("edited_message", 1, 60, `"text":"b"`)}, 1, []string{`text {"text":"b"} 60`}},
		"of another type":   {[]string{edit("message", 1, 0, `"text":"a"`), edit("edited_message", 1, 60, `"voice":{"file_id":"f"}`)}, 2, []string{`audio {"audioUrl":"telegram:voice/f"} 60`, `text {"text":"a"} `}},
		"a post":            {[]string{edit("channel_post", 1, 0, `"text":"a"`), edit("edited_channel_post", 1, 60, `"text":"b"`)}, 1, []string{`text {"text":"b"} 60`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit, told := install(t), 0
			for _, one := range tc.updates {
				o := arrive(t, kit, one)
				told += len(o.Messages)
				kit.Retry(o)
			}
			if diff := cmp.Diff(tc.want, stands(t, kit)); diff != "" || told != tc.told {
				t.Errorf("told %d times, want %d: %s", told, tc.told, diff)
			}
		})
	}
}

func TestWhatNobodyCanReadIsGivenUp(t *testing.T) {
	t.Parallel()
	o := install(t).Webhook(post(`{"update_id":1,"message":{"message_id":"one"}}`))
	if o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Err.Error(), "decode Telegram's update") {
		t.Errorf("verdict is %+v, %v", o.Verdict, o.Err)
	}
}

func TestAStoreThatIsAwayIsTriedAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for _, name := range kit.Definition.Samples {
		kit.StoreFails(errStore)
		o := kit.Webhook(kit.Sample(name, handlers.SampleArgs{}))
		kit.StoreFails(nil)
		if o.Verdict.Decision != handlers.Retry {
			t.Errorf("%s: verdict is %+v", name, o.Verdict)
		}
		if o = kit.Retry(o); o.Err != nil {
			t.Errorf("%s: %v", name, o.Err)
		}
	}
}
