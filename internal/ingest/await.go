package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// waiting is a request that the handler itself must answer. A nil one is the
// usual case: the platform only wants to know that it was heard.
type waiting struct {
	*ingest
	answers  *handlers.Answers
	awaited  *broker.Awaited
	delivery string
	until    time.Time
}

// await begins to listen before anything is stored, so that no answer can come
// too early. Only a request that is one part can be answered.
func (in *ingest) await(installed handlers.Installed, installation store.Installation, request *events.Request, parts []handlers.Part) (*waiting, error) {
	answers := installed.Awaits(request)
	if answers == nil || len(parts) == 0 {
		return nil, nil
	}
	if len(parts) > 1 {
		return nil, fmt.Errorf("%d parts cannot have one answer", len(parts))
	}
	delivery := events.DeliveryID(installation.WebhookID, parts[0].ProviderID(request.Body))
	awaited, err := in.Broker.Await(delivery)
	if err != nil {
		return nil, err
	}
	return &waiting{
		ingest: in, answers: answers, awaited: awaited, delivery: delivery, until: time.Now().Add(answers.Within),
	}, nil
}

func (w *waiting) close() {
	if w != nil {
		w.awaited.Close()
	}
}

// answer returns what the handler answers in time, or what the integration
// says for when it does not. What came before, to the same delivery, is
// answered again.
func (w *waiting) answer(ctx context.Context) *events.Response {
	if w == nil {
		return nil
	}
	late := w.answers.Late
	if late == nil {
		late = &events.Response{}
	}
	if before, err := store.AnswerTo(ctx, w.Broker, w.delivery); err == nil && before != nil {
		return before
	}
	ctx, cancel := context.WithDeadline(ctx, w.until)
	defer cancel()
	data, err := w.awaited.Wait(ctx)
	if err != nil {
		w.Logger.WithField("delivery", w.delivery).Warn("the handler did not answer in time; what it answers is kept")
		return late
	}
	var response *events.Response
	if err := json.Unmarshal(data, &response); err != nil || response == nil {
		return late
	}
	if response.Status != 0 && (response.Status < 200 || response.Status > 599) {
		w.Logger.WithField("delivery", w.delivery).WithField("status", response.Status).Warn("the handler's answer has no possible status")
		return late
	}
	return response
}
