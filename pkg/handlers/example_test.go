package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Courier is how an installation is configured.
type Courier struct {
	Secret handlers.Secrets `json:"secret"`
	APIURL string           `json:"apiUrl"`
}

// Delivered is the payload of an event.
type Delivered struct {
	Parcel string `json:"parcel"`
	At     string `json:"at"`
}

// Quote and Price are what an action takes and gives.
type Quote struct {
	Grams int `json:"grams"`
}

// Price is in cents.
type Price struct {
	Cents int `json:"cents"`
}

// parcelDelivered is what bots subscribe to, as "courier:parcelDelivered".
var parcelDelivered = events.Define[Delivered]("parcelDelivered")

// courier is a whole integration: an event, an action and a channel.
var courier = handlers.Integration[Courier]{
	Name: "courier", Version: "1.0.0", Title: "Courier",
	Events: []events.Declared{parcelDelivered},
	Actions: handlers.Actions[Courier]{
		"quote": handlers.NewAction(handlers.ActionInfo{Title: "Quote a price", Billable: true}, quote),
	},
	Channels: handlers.Channels[Courier]{"driver": {
		ConversationTags: []string{"van"},
		MessageTags:      []string{"radioId"},
		Messages:         handlers.Messages[Courier]{"text": handlers.NewMessage(radio)},
	}},
	Verify:  verifyCourier,
	Handler: receiveCourier,
}

func verifyCourier(r *events.Request, c Courier, now time.Time) error {
	return signature.Verify(signature.GitHub, c.Secret.Reveal(), signature.Message{Header: r.Header, Body: r.Body}, now)
}

// receiveCourier turns a webhook into an event.
func receiveCourier(ctx context.Context, p handlers.WebhookProps[Courier]) (*events.Response, error) {
	var delivered Delivered
	if err := json.Unmarshal(p.Req.Body, &delivered); err != nil {
		return nil, handlers.Permanent(fmt.Errorf("decode parcel: %w", err))
	}
	return nil, parcelDelivered.Fire(ctx, p.Client, delivered)
}

// quote answers a bot that calls "courier:quote".
func quote(_ context.Context, p handlers.ActionProps[Courier, Quote]) (Price, error) {
	p.Metadata.SetCost(1)
	return Price{Cents: 300 + p.Input.Grams/10}, nil
}

// radio delivers a bot's message. A real one would ask the platform through
// p.HTTP, and ack with the id that the platform gave.
func radio(ctx context.Context, p handlers.MessageProps[Courier, events.Text]) error {
	return p.Ack(ctx, client.Tags{"radioId": "to " + p.Conversation.Tags["van"]})
}

// printing stands in for the store: it prints what a handler asks for.
type printing struct{}

func (printing) Do(_ context.Context, call client.Call, in, _ any) error {
	data, err := json.Marshal(in)
	_, _ = fmt.Fprintln(os.Stdout, call.Operation.Name, string(data))
	return err
}

// An integration is one value. The runtime configures it for each installation
// and hands it what there is to do.
func Example() {
	installed, err := courier.Configure(json.RawMessage(`{"secret": "s3cr3t", "apiUrl": "https://courier.example"}`))
	if err != nil {
		panic(err)
	}
	base := handlers.Base{Client: client.New(printing{}, client.Caller{BotID: "demo", Alias: "courier"})}
	ctx := context.Background()

	request := &events.Request{Method: http.MethodPost, Path: "/", Body: []byte(`{"parcel": "P-7", "at": "12:30"}`)}
	fmt.Println("unsigned:", installed.Verify(request, time.Now()) != nil)
	if _, err := installed.Webhook(ctx, base, request); err != nil {
		panic(err)
	}

	result, err := installed.Action(ctx, base, "quote", json.RawMessage(`{"grams": 500}`))
	fmt.Println("quote", string(result.Output), result.Cost, err)
	_, err = installed.Action(ctx, base, "quote", json.RawMessage(`{"kilos": 5}`))
	fmt.Println("refused:", err != nil)

	if err := installed.Message(ctx, base, handlers.Outgoing{
		Conversation: client.Conversation{Channel: "driver", Tags: client.Tags{"van": "12"}},
		Message:      client.Message{ID: "msg_1", Type: "text", Payload: json.RawMessage(`{"text": "Turn left"}`)},
	}); err != nil {
		panic(err)
	}
	// Output:
	// unsigned: true
	// createEvent {"type":"parcelDelivered","payload":{"parcel":"P-7","at":"12:30"}}
	// quote {"cents":350} 1 <nil>
	// refused: true
	// updateMessage {"id":"msg_1","tags":{"radioId":"to 12"}}
}
