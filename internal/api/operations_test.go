package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/client"
)

// One call of everything that a bot may ask for less often, as Botpress's
// client sends it.
func TestEveryOtherOperationAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	w, ctx := start(t), t.Context()
	bot := w.bot()
	conversation, err := bot.CreateConversation(ctx, client.CreateConversationInput{
		Channel: "channel", IntegrationName: "slack", Tags: client.Tags{"slack:id": "C 1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	user, err := bot.CreateUser(ctx, client.CreateUserInput{Tags: client.Tags{"crm": "1"}, Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	id, userID := conversation.Conversation.ID, user.User.ID
	const dated = `"schedule":{"dateTime":"2020-01-01T00:00:00.000Z"}`
	said := `{"conversationId":"` + id + `","userId":"demo","type":"text","payload":{"text":"hi"},"tags":{"slack:ts":"1"},"discriminateByTags":["slack:ts"]}`
	var message string
	for _, call := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "/v1/chat/conversations/" + id, `{"tags":{"slack:title":"a","slack:id":null}}`, 200, `"tags":{"slack:title":"a"}`},
		{"GET", "/v1/chat/conversations?tags.slack%3Atitle=a&channel=channel&sortField=updatedAt&sortDirection=asc", "", 200, id},
		{"POST", "/v1/chat/conversations/" + id + "/participants", `{"userId":"` + userID + `"}`, 200, `"participant":{`},
		{"GET", "/v1/chat/conversations/" + id + "/participants", "", 200, userID},
		{"GET", "/v1/chat/conversations?participantIds=" + userID, "", 200, id},
		{"GET", "/v1/chat/conversations/" + id + "/participants/" + userID, "", 200, `"name":"Ada"`},
		{"DELETE", "/v1/chat/conversations/" + id + "/participants/" + userID, "{}", 200, `{}`},
		{"GET", "/v1/chat/conversations/" + id + "/participants/" + userID, "", 404, `not found`},
		{"PUT", "/v1/chat/users/" + userID, `{"name":null,"pictureUrl":"https://x.org","tags":{"crm":"2"}}`, 200, `"tags":{"crm":"2"},"pictureUrl":"https://x.org"`},
		{"GET", "/v1/chat/users?tags.crm=2&rangeField=updatedAt&afterDate=2020-01-01T00%3A00%3A00Z", "", 200, userID},
		{"GET", "/v1/chat/tags/crm/values?type=user", "", 200, `{"tags":[{"value":"2"}],"meta":{}}`},
		{"GET", "/v1/chat/tags/crm/values", "", 400, `type must be`},
		{"POST", "/v1/chat/messages/get-or-create", said, 200, `"meta":{"created":true}`},
		{"POST", "/v1/chat/messages/get-or-create", said, 200, `"meta":{"created":false}`},
		{"POST", "/v1/chat/messages", strings.Replace(said, `"tags"`, dated+`,"tags"`, 1), 201, `"status":"scheduled"`},
		{"POST", "/v1/chat/messages/import-messages", `{"messages":[` + strings.Replace(said, `"tags"`, `"createdAt":"2020-01-01T00:00:00.000Z","tags"`, 1) + `]}`, 200, `"messages":[{`},
		{"POST", "/v1/chat/receipts", `{"tag":"ts","value":"1","status":"read"}`, 403, `Forbidden`},
		{"POST", "/v1/chat/initialize-incoming-message", `{}`, 403, `Forbidden`},
		{"PATCH", "/v1/chat/states/bot/demo/s", `{"payload":{"a":1}}`, 200, `"payload":{"a":1}`},
		{"PATCH", "/v1/chat/states/bot/demo/s", `{"payload":{"b":null}}`, 200, `"payload":{"a":1,"b":null}`},
		{"POST", "/v1/chat/states/bot/demo/s/get-or-set", `{"payload":{"c":1},"expiry":null}`, 200, `"payload":{"a":1,"b":null}},"meta":{"cached":false}`},
		{"POST", "/v1/chat/states/bot/demo/s/expiry", `{"expiry":1000}`, 200, `"state":{`},
		{"POST", "/v1/chat/states/bot/demo/s/expiry", `{"expiry":null}`, 200, `"state":{`},
		{"POST", "/v1/chat/states/bot/demo/none/expiry", `{"expiry":1}`, 404, `not found`},
		{"POST", "/v1/chat/states/bot/demo/s/expiry", `{"expiry":2592000001}`, 400, `InvalidPayload`},
		{"DELETE", "/v1/chat/events/scheduled/evt_x", "{}", 404, `not found`},
		{"POST", "/v1/chat/analytics", `{"name":"sent","count":2}`, 200, `{}`},
		{"POST", "/v1/chat/integrations/configure", `{"identifier":"T1"}`, 403, `Forbidden`},
		{"DELETE", "/v1/chat/users/" + userID, "{}", 200, `{}`},
		{"GET", "/v1/chat/users/" + userID, "", 404, `not found`},
	} {
		response := w.request(t, call.method, call.path, strings.NewReader(call.body), "Content-Type", "application/json")
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != call.status || !strings.Contains(string(body), call.says) || !json.Valid(body) {
			t.Errorf("%s %s: %s %s, %v; want %d with %s", call.method, call.path, response.Status, body, err, call.status, call.says)
		}
		var made client.MessageOutput
		if strings.HasSuffix(call.path, "get-or-create") && json.Unmarshal(body, &made) == nil {
			message = made.Message.ID
		}
	}
	if err := errors.Join(bot.DeleteMessage(ctx, message), bot.DeleteConversation(ctx, id)); err != nil {
		t.Error(err)
	}
	if _, err := bot.GetMessage(ctx, message); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

// A DELETE that is sent again with its key is told of its success again.
func TestADeleteWithAnIdempotencyKeyCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := start(t)
	user, err := w.bot().CreateUser(t.Context(), client.CreateUserInput{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		response := w.request(t, "DELETE", "/v1/chat/users/"+user.User.ID, strings.NewReader("{}"), "Idempotency-Key", "k1")
		if response.StatusCode != http.StatusOK {
			t.Errorf("with its key: %s", response.Status)
		}
	}
	if response := w.request(t, "DELETE", "/v1/chat/users/"+user.User.ID, strings.NewReader("{}")); response.StatusCode != http.StatusNotFound {
		t.Errorf("without a key: %s", response.Status)
	}
}

// An integration reports a receipt before its ack has come, and repeats it, as
// its handler would when it runs again.
func TestAReceiptAndItsAckMeetOverHTTP(t *testing.T) {
	t.Parallel()
	w, ctx := start(t), t.Context()
	bot := w.bot()
	conversation, err := bot.CreateConversation(ctx, client.CreateConversationInput{
		Channel: "channel", IntegrationName: "slack", Tags: client.Tags{"slack:id": "C1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	message, err := bot.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: conversation.Conversation.ID, UserID: demo, Type: "text", Payload: json.RawMessage(`{"text":"hi"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	id := message.Message.ID
	w.caller.Store(&client.Caller{BotID: demo, Alias: "slack"})
	integration := bot.ForDelivery(client.Delivery{ID: "dlv_1"})
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for range 2 {
		if err := integration.ReportReceipt(ctx, client.Receipt{Tag: "wamid", Value: "w/1", Status: client.Delivered, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := integration.UpdateMessage(ctx, client.UpdateMessageInput{ID: id, Tags: client.Tags{"wamid": "w/1"}, Receipt: "wamid"}); err != nil {
		t.Fatal(err)
	}
	w.caller.Store(nil)
	listed, err := bot.ListMessages(ctx, client.ListMessagesInput{ConversationID: conversation.Conversation.ID})
	if err != nil || len(listed.Messages) != 1 {
		t.Fatalf("%+v, %v", listed, err)
	}
	if got := listed.Messages[0]; got.Status != client.Delivered || got.DeliveredAt == nil || !got.DeliveredAt.Equal(at) || got.AckedAt == nil {
		t.Errorf("%+v", got)
	}
}
