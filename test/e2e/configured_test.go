package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/shopify"
	"github.com/towpath/towpath/pkg/handlers/signature"
	"github.com/towpath/towpath/pkg/handlers/slack"
	"github.com/towpath/towpath/test/system"
)

const (
	token         = "0123456789abcdef0123456789abcdef"
	slackSecret   = "8f742231b10e8888abcd99yyyzzz85a5"
	shopifySecret = "hush-0123456789abcdef"
)

// playPlatforms runs the platforms' fakes in the test itself.
func playPlatforms(t *testing.T) platform {
	t.Helper()
	played := fake.New()
	played.Mount("/slack", slack.Integration.NewFake())
	played.Mount("/shopify", shopify.Integration.NewFake())
	server := httptest.NewServer(played)
	t.Cleanup(server.Close)
	t.Cleanup(played.Close)
	return platform(server.URL)
}

// slackConfiguration and shopifyConfiguration point at a fake.
func slackConfiguration(p platform, secret string) string {
	return fmt.Sprintf(`{"botToken": "xoxb-1", "signingSecret": %q, "apiUrl": "%s/slack/api/"}`, secret, p)
}

func shopifyConfiguration(p platform) string {
	return fmt.Sprintf(`{"shopName": "acme", "clientSecret": %q, "accessToken": "shpat_1", "apiUrl": "%s/shopify/"}`, shopifySecret, p)
}

// writeConfiguration writes a file with the bot demo and installations, by
// name of the integration, and returns its path.
func writeConfiguration(t *testing.T, path string, installations map[string]string) string {
	t.Helper()
	text := "bots:\n  - {id: demo, token: \"${DEMO_TOKEN}\"}\ninstallations:\n"
	for name, configuration := range installations {
		text += fmt.Sprintf("  - {bot: demo, integration: %s, webhookId: webhook_%s, configuration: %s}\n", name, name, configuration)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDevRunsOnesOwnConfiguration(t *testing.T) {
	t.Parallel()
	platforms := playPlatforms(t)
	path := writeConfiguration(t, filepath.Join(t.TempDir(), "own.yaml"), map[string]string{
		"slack": slackConfiguration(platforms, slackSecret), "shopify": shopifyConfiguration(platforms),
	})
	d := startDev(t, t.TempDir(), "--config", path)
	if len(d.Bots) != 1 || d.Bots[0].Token != token {
		t.Fatalf("bots: %+v", d.Bots)
	}
	own := bot(d.API, token)

	conversation := receive(t, d, own, configure(t, slack.Integration, slackConfiguration(platforms, slackSecret)))
	callAction(t, d, own, platforms)
	createMessages(t, own, platforms, conversation)
	placeOrder(t, d, own)
	d.stop(t)
}

// receive sends one message from Slack and returns the conversation it made.
func receive(t *testing.T, d *dev, own *client.Client, slack handlers.Installed) string {
	t.Helper()
	sample, err := slack.Sample("message", handlers.SampleArgs{ID: "1", Text: "hi", Conversation: "C1", User: "U1", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := send(d.Ingest+"/webhooks/webhook_slack", sample); err != nil || a.status != http.StatusOK {
		t.Fatal(err, a)
	}
	var got []client.Message
	system.Eventually(t, 5*time.Second, "the message", func() error {
		if got = messages(t, own); len(got) == 0 {
			return fmt.Errorf("no message")
		}
		return nil
	})
	if len(got) != 1 || string(got[0].Payload) != `{"text":"hi"}` || got[0].Direction != client.Incoming {
		t.Errorf("messages: %+v", got)
	}
	return got[0].ConversationID
}

// callAction holds an action to its output, its input's schema and its price.
func callAction(t *testing.T, d *dev, own *client.Client, platforms platform) {
	t.Helper()
	called, err := own.CallAction(t.Context(), client.CallActionInput{
		Type: "slack:sendMessage", Input: json.RawMessage(`{"channelId": "C2", "text": "by action"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	var output struct {
		MessageID string `json:"messageId"`
		Timestamp string `json:"timestamp"`
	}
	if err := json.Unmarshal(called.Output, &output); err != nil || output.MessageID == "" || output.Timestamp == "" {
		t.Errorf("output %s: %v", called.Output, err)
	}
	posted := platforms.posted(t)
	if len(posted) != 1 || posted[0].Get("channel") != "C2" || posted[0].Get("text") != "by action" {
		t.Errorf("Slack was sent %v", posted)
	}
	if _, err := own.CallAction(t.Context(), client.CallActionInput{
		Type: "slack:sendMessage", Input: json.RawMessage(`{"channelId": 2}`),
	}); err == nil || !strings.Contains(err.Error(), "channelId") {
		t.Errorf("an input of the wrong type: %v", err)
	}
	conn, err := nats.Connect(d.NATS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	costs := 0
	for key, value := range bucket(t, conn, "seen") {
		if strings.HasPrefix(key, "act_") && strings.Contains(value, `"cost":1`) {
			costs++
		}
	}
	if costs != 1 {
		t.Errorf("%d actions have a cost", costs)
	}
}

// createMessages holds outgoing messages to their thread, content and ack.
func createMessages(t *testing.T, own *client.Client, platforms platform, conversation string) {
	t.Helper()
	var ids []string
	for _, one := range []client.CreateMessageInput{
		{Type: "text", Payload: json.RawMessage(`{"text": "in the thread"}`), Tags: client.Tags{"slack:threadId": "1700000000.000100"}},
		{Type: "image", Payload: json.RawMessage(`{"imageUrl": "https://example.com/rope.png", "caption": "A rope"}`), Tags: client.Tags{}},
	} {
		one.ConversationID, one.UserID = conversation, "demo"
		made, err := own.CreateMessage(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, made.Message.ID)
	}
	for _, id := range ids {
		system.Eventually(t, 5*time.Second, "the ack", func() error {
			got, err := own.GetMessage(t.Context(), id)
			if err == nil && (got.Message.AckedAt == nil || got.Message.Status != client.Sent || got.Message.Tags["slack:messageId"] == "") {
				err = fmt.Errorf("message %+v", got.Message)
			}
			return err
		})
	}
	posted := platforms.posted(t)
	posted = posted[len(posted)-2:]
	if posted[0].Get("text") != "in the thread" || posted[0].Get("thread_ts") != "1700000000.000100" || posted[0].Get("channel") != "C1" {
		t.Errorf("the text: %v", posted[0])
	}
	wantAll(t, posted[1].Get("blocks"), `"type":"image"`, "https://example.com/rope.png", "A rope")
	if posted[1].Get("text") != "A rope" || posted[1].Get("thread_ts") != "" {
		t.Errorf("the image: %v", posted[1])
	}
}

// placeOrder holds an order to its digits and its null.
func placeOrder(t *testing.T, d *dev, own *client.Client) {
	t.Helper()
	message := signature.Message{
		Header: http.Header{
			"Content-Type": {"application/json"}, "X-Shopify-Topic": {"orders/create"},
			"X-Shopify-Shop-Domain": {"acme.myshopify.com"}, "X-Shopify-Webhook-Id": {"w1"},
		},
		Body: []byte(`{"id": 9007199254740993, "confirmation_number": null, "created_at": "2026-01-02T03:04:05Z"}`),
	}
	if err := signature.Shopify.Sign(&message, shopifySecret, time.Now()); err != nil {
		t.Fatal(err)
	}
	a, err := ask(http.MethodPost, d.Ingest+"/webhooks/webhook_shopify", message.Header, message.Body)
	if err != nil || a.status != http.StatusOK {
		t.Fatal(err, a)
	}
	system.Eventually(t, 5*time.Second, "the event", func() error {
		page, err := own.ListEvents(t.Context(), client.ListEventsInput{Type: "shopify:newOrderCreated"})
		if err != nil {
			return err
		}
		if len(page.Events) != 1 {
			return fmt.Errorf("%d events", len(page.Events))
		}
		wantAll(t, string(page.Events[0].Payload), `"order_id":9007199254740993,`, `"confirmation_number":null`)
		return nil
	})
}

// bucket reads all of a key-value bucket, without going through Towpath.
func bucket(t *testing.T, conn *nats.Conn, name string) map[string]string {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := kv.WatchAll(t.Context(), jetstream.IgnoreDeletes())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Stop() }()
	all := map[string]string{}
	for entry := range watch.Updates() {
		if entry == nil {
			break // that was all there is now
		}
		all[entry.Key()] = string(entry.Value())
	}
	return all
}
