package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Subscription is what an installation has to remember.
type Subscription struct {
	ID string `json:"id"`
}

var subscription = client.DefineState[Subscription]("subscription")

// remembering stands in for the store: it knows states by their names.
type remembering map[string]json.RawMessage

func (r remembering) Do(_ context.Context, _ client.Call, in, out any) error {
	switch in := in.(type) {
	case *client.SetStateInput:
		r[in.Name] = in.Payload
	case *client.StateInput:
		payload, ok := r[in.Name]
		if !ok {
			return client.NotFound("State", in.Name)
		}
		if answer, ok := out.(*client.StateOutput); ok {
			answer.State.Payload = payload
		}
	}
	return nil
}

// A state keeps its Go type. In a handler, c is p.Client.
func ExampleDefineState() {
	ctx := context.Background()
	c := client.New(remembering{}, client.Caller{BotID: "demo", IntegrationID: "intver_1", Alias: "courier"})

	_, err := subscription.Get(ctx, c)
	fmt.Println("before:", errors.Is(err, client.ErrNotFound))
	if err := subscription.Set(ctx, c, Subscription{ID: "sub-1"}); err != nil {
		panic(err)
	}
	known, err := subscription.Get(ctx, c)
	fmt.Println("after:", known.ID, err)
	// Output:
	// before: true
	// after: sub-1 <nil>
}

// A bot in another process asks over HTTP.
func ExampleHTTP() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("X-Bot-Id"))
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `{"message": {"id": "msg_1", "status": "queued"}}`)
	}))
	defer api.Close()

	payload, err := json.Marshal(events.Text{Text: "Good morning"})
	if err != nil {
		panic(err)
	}
	bot := client.New(&client.HTTP{BaseURL: api.URL, Token: "token", Client: api.Client()}, client.Caller{BotID: "demo"})
	out, err := bot.CreateMessage(context.Background(), client.CreateMessageInput{
		ConversationID: "conv_1", UserID: "demo", Type: events.Text{}.MessageType(), Payload: payload,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(out.Message.ID, out.Message.Status)
	// Output:
	// POST /v1/chat/messages demo
	// msg_1 queued
}
