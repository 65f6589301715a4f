package telegram_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/telegram"
)

// calls are the requests as "method body", without the chat where it is 77.
func calls(tb testing.TB, requests []fake.Request) []string {
	tb.Helper()
	all := []string{}
	for _, r := range requests {
		if !r.Accepted {
			tb.Errorf("was refused: %s %s", r.Path, r.Body)
		}
		body := strings.Replace(strings.Replace(r.Body, `"chat_id":77,`, "", 1), `,"chat_id":77`, "", 1)
		all = append(all, strings.TrimPrefix(r.Path, "/bot"+botToken+"/")+" "+body)
	}
	return all
}

func item(typ, payload string) events.BlocItem {
	return events.BlocItem{Type: typ, Payload: json.RawMessage(payload)}
}

func TestEveryTypeIsShown(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1025)
	for name, tc := range map[string]struct {
		payload events.Payload
		want    []string
	}{
		"a text":                      {events.Text{Text: "Tea & *cake*"}, []string{`sendMessage {"text":"Tea \u0026 *cake*"}`}},
		"markdown":                    {events.Markdown{Markdown: "# Tea"}, []string{`sendMessage {"text":"# Tea"}`}},
		"a picture":                   {events.Image{ImageURL: "https://x/a.png"}, []string{`sendPhoto {"photo":"https://x/a.png"}`}},
		"a picture with a caption":    {events.Image{ImageURL: "https://x/a.png", Caption: "A lock", Title: "no"}, []string{`sendPhoto {"caption":"A lock","photo":"https://x/a.png"}`}},
		"a picture with a title":      {events.Image{ImageURL: "https://x/a", Title: "A lock"}, []string{`sendPhoto {"caption":"A lock","photo":"https://x/a"}`}},
		"a picture that moves":        {events.Image{ImageURL: "https://x/a.GIF?b=c.png"}, []string{`sendAnimation {"animation":"https://x/a.GIF?b=c.png"}`}},
		"a picture with a long word":  {events.Image{ImageURL: "https://x/a", Title: long}, []string{`sendPhoto {"photo":"https://x/a"}`, `sendMessage {"text":"` + long + `"}`}},
		"a picture of Telegram's":     {events.Image{ImageURL: "telegram:photo/AgAC/x", Title: "A"}, []string{`sendPhoto {"caption":"A","photo":"AgAC/x"}`}},
		"a sticker of Telegram's":     {events.Image{ImageURL: "telegram:sticker/CAAC", Title: "👍"}, []string{`sendSticker {"sticker":"CAAC"}`, `sendMessage {"text":"👍"}`}},
		"a sound":                     {events.Audio{AudioURL: "https://x/a.mp3", Title: "Song"}, []string{`sendAudio {"audio":"https://x/a.mp3","caption":"Song"}`}},
		"a sound that does not tell":  {events.Audio{AudioURL: "https://x/a"}, []string{`sendAudio {"audio":"https://x/a"}`}},
		"a voice":                     {events.Audio{AudioURL: "https://x/a.ogg"}, []string{`sendVoice {"voice":"https://x/a.ogg"}`}},
		"a sound Telegram takes not":  {events.Audio{AudioURL: "https://x/a.wav", Title: "Song"}, []string{`sendMessage {"text":"Song\nhttps://x/a.wav"}`}},
		"a voice of Telegram's":       {events.Audio{AudioURL: "telegram:voice/AwAC"}, []string{`sendVoice {"voice":"AwAC"}`}},
		"a film":                      {events.Video{VideoURL: "https://x/a.mp4", Title: "Tow"}, []string{`sendVideo {"caption":"Tow","video":"https://x/a.mp4"}`}},
		"a film Telegram takes not":   {events.Video{VideoURL: "https://x/a.mkv"}, []string{`sendMessage {"text":"https://x/a.mkv"}`}},
		"a round film of Telegram's":  {events.Video{VideoURL: "telegram:videoNote/DQAC"}, []string{`sendVideoNote {"video_note":"DQAC"}`}},
		"an animation of Telegram's":  {events.Video{VideoURL: "telegram:animation/CgAC"}, []string{`sendAnimation {"animation":"CgAC"}`}},
		"a file":                      {events.File{FileURL: "https://x/a.pdf", Title: "Bill"}, []string{`sendDocument {"caption":"Bill","document":"https://x/a.pdf"}`}},
		"a file Telegram takes not":   {events.File{FileURL: "https://x/a.docx", Title: "Bill"}, []string{`sendMessage {"text":"Bill\nhttps://x/a.docx"}`}},
		"a file of Telegram's":        {events.File{FileURL: "telegram:document/BQAC"}, []string{`sendDocument {"document":"BQAC"}`}},
		"a kind that is not known":    {events.File{FileURL: "telegram:hologram/BQAC"}, []string{`sendMessage {"text":"telegram:hologram/BQAC"}`}},
		"a place":                     {events.Location{Latitude: 52.5, Longitude: -4.25}, []string{`sendLocation {"latitude":52.5,"longitude":-4.25}`}},
		"a place with a name":         {events.Location{Latitude: 1, Longitude: 2, Title: "Lock", Address: "Quay 1"}, []string{`sendVenue {"address":"Quay 1","latitude":1,"longitude":2,"title":"Lock"}`}},
		"a place with an address":     {events.Location{Latitude: 1, Longitude: 2, Address: "Quay 1"}, []string{`sendVenue {"address":"Quay 1","latitude":1,"longitude":2,"title":"Quay 1"}`}},
		"a card with a title":         {events.Card{Title: "Rope", Actions: []events.CardAction{}}, []string{`sendMessage {"text":"Rope"}`}},
		"a card":                      {card(), []string{`sendPhoto {"caption":"Rope\n20 m","photo":"https://x/r.png","reply_markup":{"inline_keyboard":[[{"text":"Buy","url":"https://x/buy"}],[{"callback_data":"more","text":"More"}]]}}`}},
		"a card with much to say":     {events.Card{Title: long, ImageURL: "https://x/a", Actions: []events.CardAction{{Action: "say", Label: "A", Value: "a"}}}, []string{`sendPhoto {"photo":"https://x/a"}`, `sendMessage {"reply_markup":{"inline_keyboard":[[{"callback_data":"a","text":"A"}]]},"text":"` + long + `"}`}},
		"a card of buttons alone":     {events.Card{Actions: []events.CardAction{{Action: "say", Label: "A", Value: "a"}}}, []string{`sendMessage {"reply_markup":{"inline_keyboard":[[{"callback_data":"a","text":"A"}]]},"text":"…"}`}},
		"buttons that cannot be":      {events.Card{Title: "Rope", Actions: []events.CardAction{{Action: "url", Label: "Buy", Value: "shop"}, {Action: "postback", Label: "More", Value: long}, {Action: "say"}}}, []string{`sendMessage {"text":"Rope\nBuy\nshop\nMore"}`}},
		"a carousel":                  {events.Carousel{Items: []events.Card{{Title: "A", Actions: []events.CardAction{}}, {Title: "B", Actions: []events.CardAction{}}}}, []string{`sendMessage {"text":"A"}`, `sendMessage {"text":"B"}`}},
		"a choice":                    {events.Choice{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}, {Value: "n"}}}, []string{`sendMessage {"reply_markup":{"inline_keyboard":[[{"callback_data":"y","text":"Yes"}],[{"callback_data":"n","text":"n"}]]},"text":"Tea?"}`}},
		"a choice of too much":        {events.Choice{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}, {Label: "No", Value: long}}}, []string{`sendMessage {"text":"Tea?\n1. Yes\n2. No"}`}},
		"a choice without a question": {events.Choice{Options: []events.Option{{Label: "Yes", Value: "y"}}}, []string{`sendMessage {"reply_markup":{"inline_keyboard":[[{"callback_data":"y","text":"Yes"}]]},"text":"1. Yes"}`}},
		"a dropdown":                  {events.Dropdown{Text: "Tea?", Options: []events.Option{{Label: "Yes", Value: "y"}}}, []string{`sendMessage {"reply_markup":{"inline_keyboard":[[{"callback_data":"y","text":"Yes"}]]},"text":"Tea?"}`}},
		"a dropdown of many":          {events.Dropdown{Text: "Which?", Options: many(101)}, []string{`sendMessage {"text":"Which?` + numbered(101) + `"}`}},
		"a bloc": {events.Bloc{Items: []events.BlocItem{
			item("text", `{"text":"a"}`), item("markdown", `{"markdown":"b"}`), item("image", `{"imageUrl":"https://x/a"}`), item("audio", `{"audioUrl":"https://x/a"}`),
			item("video", `{"videoUrl":"https://x/a"}`), item("file", `{"fileUrl":"https://x/a.zip"}`), item("location", `{"latitude":1,"longitude":2}`),
			item("card", `{"title":"c","actions":[]}`), item("carousel", `{"items":[{"title":"d"}]}`), item("choice", `{"text":"e"}`), item("dropdown", `{"text":"f"}`),
		}}, []string{
			`sendMessage {"text":"a"}`, `sendMessage {"text":"b"}`, `sendPhoto {"photo":"https://x/a"}`, `sendAudio {"audio":"https://x/a"}`,
			`sendVideo {"video":"https://x/a"}`, `sendDocument {"document":"https://x/a.zip"}`, `sendLocation {"latitude":1,"longitude":2}`,
			`sendMessage {"text":"c"}`, `sendMessage {"text":"d"}`, `sendMessage {"text":"e"}`, `sendMessage {"text":"f"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := say(t, install(t), tc.payload, nil)
			if diff := cmp.Diff(tc.want, calls(t, o.Requests)); diff != "" {
				t.Error(diff)
			}
			want := []client.Tags{{"chatId": "77", "messageId": fmt.Sprint(len(tc.want))}}
			if diff := cmp.Diff(want, o.Acks); diff != "" || o.Message.Status != client.Sent {
				t.Errorf("status %s, acks: %s", o.Message.Status, diff)
			}
		})
	}
}

func card() events.Card {
	return events.Card{Title: "Rope", Subtitle: "20 m", ImageURL: "https://x/r.png", Actions: []events.CardAction{
		{Action: "url", Label: "Buy", Value: "https://x/buy"}, {Action: "postback", Label: "More", Value: "more"},
	}}
}

func many(n int) []events.Option {
	all := make([]events.Option, n)
	for i := range all {
		all[i] = events.Option{Label: "L", Value: fmt.Sprint(i)}
	}
	return all
}

func numbered(n int) string {
	text := ""
	for i := range n {
		text += fmt.Sprintf(`\n%d. L`, i+1)
	}
	return text
}

func TestWhatIsNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		payload events.Payload
		tags    client.Tags
		want    string
	}{
		"no text":                {events.Text{}, nil, "the message is empty"},
		"white space":            {events.Text{Text: " \n"}, nil, "the message is empty"},
		"no cards":               {events.Carousel{Items: []events.Card{}}, nil, "the message is empty"},
		"an item of no type":     {events.Bloc{Items: []events.BlocItem{item("hologram", `{}`)}}, nil, `there is no message type "hologram"`},
		"a bloc in a bloc":       {events.Bloc{Items: []events.BlocItem{item("bloc", `{"items":[]}`)}}, nil, `there is no message type "bloc"`},
		"an item of another":     {events.Bloc{Items: []events.BlocItem{item("text", `7`)}}, nil, "item 1 of the bloc is no text"},
		"a thread that is none":  {events.Text{Text: "a"}, client.Tags{"threadId": "x"}, "tag threadId is no number"},
		"an answer that is none": {events.Text{Text: "a"}, client.Tags{"replyTo": "x"}, "tag replyTo is no number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := install(t).Send(outgoing(tc.payload, tc.tags))
			if o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, tc.want) || len(o.Requests) != 0 {
				t.Errorf("verdict is %+v after %d requests", o.Verdict, len(o.Requests))
			}
		})
	}
}

func TestAConversationWithoutAChatIsGivenUp(t *testing.T) {
	t.Parallel()
	o := install(t).Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Channel: "private"})
	if o.Verdict.Decision != handlers.GiveUp || !strings.Contains(o.Verdict.Message, "chatId") {
		t.Errorf("verdict is %+v", o.Verdict)
	}
}

func TestAnswersGoToTheirThreadAndMessage(t *testing.T) {
	t.Parallel()
	o := say(t, install(t), events.Carousel{Items: []events.Card{{Title: "A", Actions: []events.CardAction{}}, {Title: "B", Actions: []events.CardAction{}}}},
		client.Tags{"threadId": "9", "replyTo": "8"})
	want := []string{
		`sendMessage {"message_thread_id":9,"reply_parameters":{"allow_sending_without_reply":true,"message_id":8},"text":"A"}`,
		`sendMessage {"message_thread_id":9,"text":"B"}`,
	}
	if diff := cmp.Diff(want, calls(t, o.Requests)); diff != "" {
		t.Error(diff)
	}
}

// tenThousand is a text of 10,000 characters in words, of which some are emoji
// that count twice.
func tenThousand() string {
	var text strings.Builder
	for i := 0; text.Len() == 0 || len([]rune(text.String())) < 10_000; i++ {
		fmt.Fprintf(&text, "word%d 👍\n", i)
	}
	return string([]rune(text.String())[:9999]) + "."
}

// arrived is the text that Telegram took, in order.
func arrived(t *testing.T, requests []fake.Request) (texts []string) {
	t.Helper()
	for _, r := range requests {
		if r.Accepted {
			texts = append(texts, decoded[struct {
				Text string `json:"text"`
			}](t, []byte(r.Body)).Text)
		}
	}
	return texts
}

func TestALongTextArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	kit, text := install(t), tenThousand()
	o := say(t, kit, events.Text{Text: text}, nil)
	got := arrived(t, o.Requests)
	for i, part := range got {
		if n := len(utf16.Encode([]rune(part))); n > 4096 {
			t.Errorf("part %d has %d units", i, n)
		}
	}
	if diff := cmp.Diff(text, strings.Join(got, "\n")); diff != "" || len(got) != 3 {
		t.Errorf("%d parts: %s", len(got), diff)
	}
	if again := kit.Retry(o); !again.Skipped || len(again.Requests) != 0 {
		t.Errorf("sent again: %+v", again.Requests)
	}
}

func TestNoPartIsSentAgainWhenALaterOneFails(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]fake.Rule{
		"busy":        scripted(429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}`),
		"broken":      scripted(500, `{"ok":false,"error_code":500,"description":"Internal Server Error"}`),
		"cut off":     {Reset: true, Times: 1},
		"answer lost": {AfterAccept: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit, text := install(t), tenThousand()
			// The first request comes through, and the second one not.
			slow := fake.Rule{Delay: time.Nanosecond, Times: 1}
			kit.Script(slow, rule)
			o := kit.Send(outgoing(events.Text{Text: text}, nil))
			if o.Verdict.Decision != handlers.Retry || len(o.Requests) != 2 || len(o.Acks) != 0 {
				t.Fatalf("verdict is %+v after %d requests", o.Verdict, len(o.Requests))
			}
			o = kit.Retry(o)
			if o.Err != nil || len(o.Requests) != 2 || len(o.Acks) != 1 {
				t.Errorf("%v after %d requests", o.Err, len(o.Requests))
			}
			got, once := arrived(t, kit.Requests()), map[string]int{}
			for _, part := range got {
				once[part]++
			}
			if once[got[0]] != 1 || len(once) != 3 || once[got[len(got)-1]] != 1 {
				t.Errorf("parts arrived %v times", once)
			}
			if name == "answer lost" {
				got = append(got[:1], got[2:]...) // the one that nobody knew of
			}
			if diff := cmp.Diff(text, strings.Join(got, "\n")); diff != "" {
				t.Error(diff)
			}
			// The next long message begins at its beginning.
			if o := say(t, kit, events.Text{Text: text}, nil); len(o.Requests) != 3 {
				t.Errorf("%d requests", len(o.Requests))
			}
		})
	}
}

// An ack that fails is made again, and nothing else is.
func TestOnlyTheAckIsMadeAgain(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(fake.Rule{Delay: time.Nanosecond, Times: 2}, scripted(429, `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":1}}`))
	o := kit.Send(outgoing(events.Text{Text: tenThousand()}, nil))
	o = kit.Retry(o)
	if o.Err != nil || len(o.Requests) != 1 {
		t.Errorf("%v after %d requests", o.Err, len(o.Requests))
	}
}

func TestSendMessageAction(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Action("sendMessage", `{"chatId":"77","text":"a","threadId":"9","replyTo":"8"}`)
	want := []string{`sendMessage {"message_thread_id":9,"reply_parameters":{"allow_sending_without_reply":true,"message_id":8},"text":"a"}`}
	if diff := cmp.Diff(want, calls(t, o.Requests)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"chatId":"77","messageId":"1"}`, string(o.Action.Output)); diff != "" || o.Action.Cost != 1 {
		t.Errorf("cost %v, output %s", o.Action.Cost, diff)
	}
	o = kit.Action("sendMessage", `{"chatId":"@news","text":"a"}`)
	if diff := cmp.Diff([]string{`sendMessage {"chat_id":"@news","text":"a"}`}, calls(t, o.Requests)); diff != "" {
		t.Error(diff)
	}
	for _, input := range []string{
		`{"chatId":"77","text":"` + strings.Repeat("👍", 2049) + `"}`, `{"chatId":"77","text":"a","threadId":"x"}`, `{"chatId":"77","text":"a","replyTo":"x"}`,
	} {
		if o := kit.Action("sendMessage", input); o.Verdict.Decision != handlers.GiveUp || len(o.Requests) != 0 {
			t.Errorf("verdict is %+v", o.Verdict)
		}
	}
}

func TestDownloadFileAction(t *testing.T) {
	t.Parallel()
	kit := install(t)
	o := kit.Action("downloadFile", `{"url":"telegram:photo/AgAC"}`)
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	want := telegram.Downloaded{Name: "file_1.jpg", Size: 20, Data: "YSBmaWxlIG9mIHRoZSBmYWtlJ3M="}
	if diff := cmp.Diff(want, decoded[telegram.Downloaded](t, o.Action.Output)); diff != "" {
		t.Error(diff)
	}
	if o := kit.Action("downloadFile", `{"url":"https://x/a"}`); o.Verdict.Decision != handlers.GiveUp {
		t.Errorf("verdict is %+v", o.Verdict)
	}
	for name, rule := range map[string]fake.Rule{
		"by its size": scripted(200, `{"ok":true,"result":{"file_id":"x","file_size":524289,"file_path":"a"}}`),
		"too old":     scripted(400, `{"ok":false,"error_code":400,"description":"Bad Request: invalid file_id"}`),
		"by its body": {Path: "/file/", Status: 200, Body: strings.Repeat("a", 524_289), Times: 1},
	} {
		kit.Script(rule)
		if o := kit.Action("downloadFile", `{"url":"telegram:photo/AgAC"}`); o.Verdict.Decision != handlers.GiveUp {
			t.Errorf("%s: verdict is %+v", name, o.Verdict)
		}
	}
}
