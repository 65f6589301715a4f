package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// receiveChange takes an edit over into the message that the bot was told of;
// nobody is told anew. Slack says of a message that it changed also when a link
// in it was unfolded, or when somebody answered it: such a change has no edit.
// One of a message that the bot was never told of is let pass.
func receiveChange(ctx context.Context, p handlers.WebhookProps[Config], change message) error {
	if change.Message == nil {
		return nil
	}
	now := *change.Message
	if now.Subtype == "tombstone" { // it was deleted, and has answers that stay
		return receiveDeletion(ctx, p, change.Channel, now.TS, change.Previous)
	}
	if heard, err := isHeard(ctx, p, now); !heard || err != nil || now.Edited == nil || now.TS == "" {
		return err
	}
	about, err := refer(ctx, p.Client, change.Channel, now.User)
	if err != nil {
		return err
	}
	known, err := find(ctx, p.Client, about, now.TS)
	if err != nil || known == nil || known.Direction == client.Outgoing || known.Tags[tagEdited] >= now.Edited.TS {
		return err
	}
	payload := now.payloadAs(known.Type)
	if payload == nil {
		p.Logger.WithField("type", known.Type).Debug("nothing of the message's type is left in it")
		return nil
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode %s: %w", payload.MessageType(), err)
	}
	_, err = p.Client.UpdateMessage(ctx, client.UpdateMessageInput{ID: known.ID, Tags: now.tags(), Payload: encoded})
	return err
}

// receiveDeletion deletes the message that the bot was told of. The bot's own
// words stay on its record.
func receiveDeletion(ctx context.Context, p handlers.WebhookProps[Config], channel, ts string, before *message) error {
	if before == nil || before.User == "" || before.BotID != "" {
		return nil
	}
	if ts = cmp.Or(ts, before.TS); ts == "" {
		return nil
	}
	about, err := refer(ctx, p.Client, channel, before.User)
	if err != nil {
		return err
	}
	known, err := find(ctx, p.Client, about, ts)
	if err != nil || known == nil || known.Direction == client.Outgoing {
		return err
	}
	if err := p.Client.DeleteMessage(ctx, known.ID); !errors.Is(err, client.ErrNotFound) {
		return err
	}
	return nil
}
