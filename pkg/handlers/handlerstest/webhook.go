package handlerstest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// maxBody bounds a webhook's body as ingest does by default, in bytes.
const maxBody = 2 << 20

// providerID is the CloudEvent attribute of the part's id.
const providerID = "providerid"

// Sample builds a request of the platform, signed for the installation. What
// args leave out is "hello", from user U0TOWPATH in conversation C0TOWPATH, by
// the kit's clock, and always the same delivery.
func (k *Kit) Sample(name string, args handlers.SampleArgs) *events.Request {
	k.tb.Helper()
	args.ID = cmp.Or(args.ID, "0SAMPLE1")
	args.Text = cmp.Or(args.Text, "hello")
	args.Conversation = cmp.Or(args.Conversation, "C0TOWPATH")
	args.User = cmp.Or(args.User, "U0TOWPATH")
	if args.Now.IsZero() {
		args.Now = k.now()
	}
	request, err := k.Installed.Sample(name, args)
	if err != nil {
		k.tb.Fatal(err)
	}
	return request
}

// Webhook takes a request of the platform through every step: it is verified,
// answered if it is a handshake, split, stored without its secret headers, and
// each part handled.
func (k *Kit) Webhook(request *events.Request) Outcome {
	k.tb.Helper()
	refuse := func(status int, err error) Outcome {
		k.log.watch(k.tb, err.Error())
		return Outcome{Status: status, Refused: err}
	}
	if len(request.Body) > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", maxBody))
	}
	if err := k.Installed.Verify(request, k.now()); err != nil {
		return refuse(http.StatusUnauthorized, fmt.Errorf("verify: %w", err))
	}
	return k.verified(request)
}

// Unsigned is [Kit.Webhook] without the verification, for requests that nobody
// signed, such as those in a documentation or of a fuzz target.
func (k *Kit) Unsigned(request *events.Request) Outcome {
	k.tb.Helper()
	return k.verified(request)
}

func (k *Kit) verified(request *events.Request) Outcome {
	k.tb.Helper()
	if response, ok := k.Installed.Handshake(request); ok {
		return Outcome{Status: http.StatusOK, Handshake: true, Awaited: true, Response: response}
	}
	parts, err := k.Installed.Split(request)
	awaited := k.Installed.Awaits(request) != nil
	if err == nil && awaited && len(parts) > 1 {
		err = errors.New("several parts cannot have one answer")
	}
	if err != nil {
		k.log.watch(k.tb, err.Error())
		return Outcome{Status: http.StatusBadRequest, Refused: fmt.Errorf("split: %w", err)}
	}
	jobs := make([]dispatch.Job, len(parts))
	for i, part := range parts {
		jobs[i] = k.stored(request, part)
	}
	o := k.attempt(jobs...)
	o.Awaited = awaited
	for i := range o.Parts {
		o.Parts[i].Body = parts[i].Body
		o.Parts[i].ID = parts[i].ID
	}
	return o
}

// stored is what ingest stores of a part.
func (k *Kit) stored(request *events.Request, part handlers.Part) dispatch.Job {
	k.tb.Helper()
	stored := *k.Installed.Stored(request)
	if part.Body != nil {
		stored.Body = part.Body
	}
	id := part.ProviderID(request.Body)
	job := k.job(events.DeliveryID(k.target.WebhookID, id), events.WebhookReceived, "/webhooks/"+k.target.WebhookID,
		part.Key, k.encode(events.Webhook{Req: &stored}))
	job.Event.SetExtension(providerID, id)
	return job
}
