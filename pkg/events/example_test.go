package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/towpath/towpath/pkg/events"
)

// Delivered is the payload of an event; its JSON Schema is read off the type.
type Delivered struct {
	Parcel string `json:"parcel"`
	Weight int    `json:"weight,omitempty"` // grams
}

var parcelDelivered = events.Define[Delivered]("parcelDelivered")

// printing stands in for a client: it prints what is fired.
type printing struct{}

func (printing) FireEvent(_ context.Context, name string, about events.Refs, payload any) error {
	data, err := json.Marshal(payload)
	_, _ = fmt.Fprintf(os.Stdout, "%s %s about %q\n", name, data, about.ConversationID)
	return err
}

func ExampleDefine() {
	fmt.Println(parcelDelivered.EventName())
	fmt.Println(string(parcelDelivered.EventSchema()))
	// Output:
	// parcelDelivered
	// {"type":"object","properties":{"parcel":{"type":"string"},"weight":{"type":"integer"}},"required":["parcel"]}
}

// In a handler, the second argument is p.Client.
func ExampleType_Fire() {
	if err := parcelDelivered.Fire(context.Background(), printing{}, Delivered{Parcel: "P-7", Weight: 500}); err != nil {
		panic(err)
	}
	// Output:
	// parcelDelivered {"parcel":"P-7","weight":500} about ""
}

func ExampleType_FireFor() {
	about := events.Refs{ConversationID: "conv_1"}
	if err := parcelDelivered.FireFor(context.Background(), printing{}, about, Delivered{Parcel: "P-8"}); err != nil {
		panic(err)
	}
	// Output:
	// parcelDelivered {"parcel":"P-8"} about "conv_1"
}
