package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// maxStored bounds what is stored of one part, in bytes: NATS takes 8 MiB with
// the headers. A body within the limit may still grow past it, since some
// bytes take six as JSON.
const maxStored = 8<<20 - 128<<10

var errTooLarge = errors.New("the body cannot be stored: it is too large as JSON")

// cloudEvent makes the event that is stored for one part of a request. Of a
// request that is verified by now, nobody needs the secret headers any more;
// one that its handler verifies must reach it with them.
func cloudEvent(installed handlers.Installed, installation store.Installation, request *events.Request, part handlers.Part, now time.Time) (event.Event, error) {
	stored := *installed.Stored(request)
	if part.Body != nil {
		stored.Body = part.Body
	}
	providerID := part.ProviderID(request.Body)
	data, err := json.Marshal(events.Webhook{Req: &stored})
	if err != nil {
		return event.Event{}, fmt.Errorf("encode webhook: %w", err)
	}
	if len(data) > maxStored {
		return event.Event{}, errTooLarge
	}
	id := events.DeliveryID(installation.WebhookID, providerID)
	e := events.New(id, "/webhooks/"+installation.WebhookID, events.WebhookReceived.CloudEventType(), part.Key, now, data)
	e.SetExtension("providerid", providerID)
	e.SetExtension("traceparent", events.TraceParent(id, 0))
	return e, nil
}
