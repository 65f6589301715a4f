package telegram_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/telegram"
)

func refusal(code int, description, parameters string) fake.Rule {
	return scripted(code, fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q%s}`, code, description, parameters))
}

// What Telegram answers decides what becomes of the message, and nothing is sent
// again before the worker has decided.
func TestErrorsOfTelegram(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule    fake.Rule
		want    handlers.Decision
		after   time.Duration
		message string // what the owner must be told, in part
	}{
		"too many requests":           {refusal(429, "Too Many Requests: retry after 17", `,"parameters":{"retry_after":17}`), handlers.Retry, 17 * time.Second, ""},
		"too many, by the header too": {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "3"}, Body: `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":17}}`}, handlers.Retry, 17 * time.Second, ""},
		"too many, by the header":     {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "3"}, Body: `<html>`}, handlers.Retry, 3 * time.Second, ""},
		"too many, without a time":    {refusal(429, "Too Many Requests", ``), handlers.Retry, 0, ""},
		"too many, for a year":        {refusal(429, "Too Many Requests", `,"parameters":{"retry_after":31536000}`), handlers.Retry, 24 * time.Hour, ""},
		"broken":                      {refusal(500, "Internal Server Error: restart", ``), handlers.Retry, 0, ""},
		"restarting":                  {refusal(500, "Internal Server Error: restart", `,"parameters":{"retry_after":2}`), handlers.Retry, 2 * time.Second, ""},
		"bad gateway":                 {fake.Rule{Status: 502, Body: "<html>"}, handlers.Retry, 0, ""},
		"a timeout of the gateway":    {fake.Rule{Status: 504}, handlers.Retry, 0, ""},
		"connection reset":            {fake.Rule{Reset: true}, handlers.Retry, 0, ""},
		"answer lost":                 {fake.Rule{AfterAccept: true}, handlers.Retry, 0, ""},
		"no JSON":                     {fake.Rule{Status: 200, Body: "ok"}, handlers.Retry, 0, ""},
		"nothing of Telegram's":       {fake.Rule{Status: 200, Body: "{}"}, handlers.Retry, 0, ""},
		"no message":                  {fake.Rule{Status: 200, Body: `{"ok":true,"result":true}`}, handlers.Retry, 0, ""},
		"no, under a status of yes":   {fake.Rule{Status: 200, Body: `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`}, handlers.GiveUp, 0, "blocked"},
		"revoked":                     {refusal(401, "Unauthorized", ``), handlers.Pause, 0, "refuses the credentials: Unauthorized"},
		"an invalid token":            {refusal(401, "Unauthorized: invalid token specified", ``), handlers.Pause, 0, "invalid token"},
		"a token of no form":          {refusal(404, "Not Found", ``), handlers.GiveUp, 0, "check botToken and apiUrl"},
		"an unknown method":           {refusal(404, "Not Found: method not found", ``), handlers.GiveUp, 0, "method not found"},
		"blocked":                     {refusal(403, "Forbidden: bot was blocked by the user", ``), handlers.GiveUp, 0, "bot was blocked by the user"},
		"kicked from a group":         {refusal(403, "Forbidden: bot was kicked from the group chat", ``), handlers.GiveUp, 0, "kicked"},
		"kicked from a supergroup":    {refusal(403, "Forbidden: bot was kicked from the supergroup chat", ``), handlers.GiveUp, 0, "kicked"},
		"not a member":                {refusal(403, "Forbidden: bot is not a member of the channel chat", ``), handlers.GiveUp, 0, "not a member"},
		"deactivated":                 {refusal(403, "Forbidden: user is deactivated", ``), handlers.GiveUp, 0, "deactivated"},
		"never spoken to":             {refusal(403, "Forbidden: bot can't initiate conversation with a user", ``), handlers.GiveUp, 0, "initiate"},
		"a bot":                       {refusal(403, "Forbidden: bot can't send messages to bots", ``), handlers.GiveUp, 0, "bots"},
		"no chat":                     {refusal(400, "Bad Request: chat not found", ``), handlers.GiveUp, 0, "chat not found"},
		"no rights":                   {refusal(400, "Bad Request: not enough rights to send text messages to the chat", ``), handlers.GiveUp, 0, "not enough rights"},
		"no thread":                   {refusal(400, "Bad Request: message thread not found", ``), handlers.GiveUp, 0, "thread not found"},
		"too long":                    {refusal(400, "Bad Request: message is too long", ``), handlers.GiveUp, 0, "too long"},
		"empty":                       {refusal(400, "Bad Request: message text is empty", ``), handlers.GiveUp, 0, "empty"},
		"a file that is not there":    {refusal(400, "Bad Request: failed to get HTTP URL content", ``), handlers.GiveUp, 0, "failed to get HTTP URL content"},
		"a page for a picture":        {refusal(400, "Bad Request: wrong type of the web page content", ``), handlers.GiveUp, 0, "wrong type"},
		"a file id of nothing":        {refusal(400, "Bad Request: wrong file identifier/HTTP URL specified", ``), handlers.GiveUp, 0, "wrong file identifier"},
		"a file too large":            {refusal(413, "Request Entity Too Large", ``), handlers.GiveUp, 0, "Too Large"},
		"a redirect":                  {fake.Rule{Status: 301, Headers: map[string]string{"Location": "/elsewhere"}}, handlers.GiveUp, 0, "check apiUrl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Send(outgoing(events.Text{Text: "a"}, nil))
			if o.Verdict.Decision != tc.want || o.Verdict.After != tc.after || !strings.Contains(o.Verdict.Message, tc.message) {
				t.Errorf("verdict is %+v, want %s after %s", o.Verdict, tc.want, tc.after)
			}
			if len(o.Requests) != 1 || len(o.Acks) != 0 {
				t.Errorf("%d requests, %d acks", len(o.Requests), len(o.Acks))
			}
			if text := o.Err.Error(); strings.Contains(text, "not-to-be-seen") || strings.Contains(text, "/bot") {
				t.Errorf("the error tells where the token is: %s", text)
			}
		})
	}
}

func TestAHangEndsWithTheAttempt(t *testing.T) {
	t.Parallel()
	kit := handlerstest.Start(t, handlerstest.Config{
		Integration: telegram.Integration, Configuration: `{"botToken":"` + botToken + `"}`, Timeout: 50 * time.Millisecond,
	})
	kit.Script(fake.Rule{Hang: true})
	if o := kit.Send(outgoing(events.Text{Text: "a"}, nil)); o.Verdict.Decision != handlers.Retry || !o.Ambiguous {
		t.Errorf("verdict is %+v, ambiguous: %v", o.Verdict, o.Ambiguous)
	}
}

func TestTheTokenIsToldByNoErrorOfTheWay(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"nobody there": "http://127.0.0.1:1", "no address": "http://127.0.0.1:port", "no scheme": "telegram",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := handlerstest.New(t, telegram.Integration, `{"botToken":"`+botToken+`","apiUrl":"`+address+`"}`)
			o := kit.Send(outgoing(events.Text{Text: "a"}, nil))
			if o.Err == nil || strings.Contains(o.Err.Error(), "not-to-be-seen") {
				t.Errorf("got %v", o.Err)
			}
		})
	}
}

const toNewID = `,"parameters":{"migrate_to_chat_id":-1001}`

func inOldGroup(payload events.Payload) handlerstest.Message {
	return handlerstest.Message{Payload: payload, Channel: "group", Conversation: client.Tags{"chatId": "-55"}}
}

func TestAMessageFollowsTheGroupThatBecameASupergroup(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", toNewID))
	before := kit.Conversation("group", client.Tags{"chatId": "-55"})
	o := kit.Send(inOldGroup(events.Carousel{Items: []events.Card{{Title: "A", Actions: []events.CardAction{}}, {Title: "B", Actions: []events.CardAction{}}}}))
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	got := []string{}
	for _, r := range o.Requests {
		got = append(got, r.Body)
	}
	want := []string{`{"chat_id":-55,"text":"A"}`, `{"chat_id":-1001,"text":"A"}`, `{"chat_id":-1001,"text":"B"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]client.Tags{{"chatId": "-1001", "messageId": "2"}}, o.Acks); diff != "" {
		t.Error(diff)
	}
	if after := kit.Conversation("group", client.Tags{"chatId": "-1001"}); after.ID != before.ID {
		t.Error("the conversation is another one")
	}
	if o := arrive(t, kit, movedFrom); o.Err != nil {
		t.Error(o.Err)
	}
	if list, err := kit.Client.ListConversations(t.Context(), client.ListConversationsInput{}); err != nil || len(list.Conversations) != 1 {
		t.Errorf("%d conversations, %v", len(list.Conversations), err)
	}
}

func TestAGroupThatMovesInCirclesIsFollowedOnce(t *testing.T) {
	t.Parallel()
	kit := install(t)
	rule := refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", toNewID)
	rule.Times = 0
	kit.Script(rule)
	if o := kit.Send(inOldGroup(events.Text{Text: "a"})); o.Verdict.Decision != handlers.GiveUp || len(o.Requests) != 2 {
		t.Errorf("verdict is %+v after %d requests", o.Verdict, len(o.Requests))
	}
}

func TestTheActionFollowsTheGroupToo(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", toNewID))
	o := kit.Action("sendMessage", `{"chatId":"-55","text":"a"}`)
	if o.Err != nil || string(o.Action.Output) != `{"chatId":"-1001","messageId":"1"}` {
		t.Errorf("got %v, %+v", o.Err, o.Action)
	}
}
