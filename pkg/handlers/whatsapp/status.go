package whatsapp

import (
	"context"
	"encoding/json"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// statuses are WhatsApp's words for how far a message got. What a person played
// they have read.
var statuses = map[string]client.Status{
	"sent": client.Sent, "delivered": client.Delivered, "read": client.Read, "played": client.Read, "failed": client.Failed,
}

// receiveStatus moves a message on that was sent before. Most refusals come this
// way: that the API took a message means only that it will be tried.
func receiveStatus(ctx context.Context, p handlers.WebhookProps[Config], raw json.RawMessage) error {
	var s struct {
		ID        string   `json:"id"`
		Status    string   `json:"status"`
		Timestamp unixTime `json:"timestamp"`
		Errors    []fault  `json:"errors"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return unreadable("status", err)
	}
	status, known := statuses[s.Status]
	if !known || s.ID == "" {
		p.Logger.WithField("status", s.Status).Debug("status is not handled")
		return nil
	}
	receipt := client.Receipt{Tag: tagMessage, Value: s.ID, Status: status, At: s.Timestamp.Time}
	if status == client.Failed && len(s.Errors) > 0 {
		receipt.Reason = s.Errors[0].String()
		if what := meaningOf(s.Errors[0].Code); what.advice != "" {
			receipt.Reason += ": " + what.advice
		}
	}
	return p.Client.ReportReceipt(ctx, receipt)
}
