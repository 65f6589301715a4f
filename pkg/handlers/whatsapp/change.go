package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// edit gives a message its new content; the bot sees the message change. One
// that is not known is made.
func edit(ctx context.Context, p handlers.WebhookProps[Config], place placed, m message) error {
	if m.Edit.OriginalID == "" || m.Edit.Message == nil {
		return passOver(p, m)
	}
	m.Edit.Message.ID = m.Edit.OriginalID
	typ, payload, err := contentOf(ctx, p, *m.Edit.Message)
	if err != nil {
		return err
	}
	if typ == "" {
		return passOver(p, m)
	}
	known, err := place.message(ctx, p, m.Edit.OriginalID)
	if errors.Is(err, client.ErrInvalid) {
		return place.create(ctx, p, *m.Edit.Message, typ, payload)
	}
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode payload: %w", err)
	}
	_, err = p.Client.UpdateMessage(ctx, client.UpdateMessageInput{ID: known.ID, Payload: encoded, Tags: client.Tags{}})
	return err
}

// revoke marks a message that its writer took back. What the bot has seen stays:
// its owner decides what to do about it.
func revoke(ctx context.Context, p handlers.WebhookProps[Config], place placed, m message) error {
	if m.Revoke.OriginalID == "" {
		return passOver(p, m)
	}
	known, err := place.message(ctx, p, m.Revoke.OriginalID)
	if errors.Is(err, client.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = p.Client.UpdateMessage(ctx, client.UpdateMessageInput{
		ID: known.ID, Tags: client.Tags{tagRevoked: m.Timestamp.Format(time.RFC3339)},
	})
	return err
}

// message finds a message by WhatsApp's id; it is [client.ErrInvalid] for one
// that is not known, since there is no payload to make it with.
func (l placed) message(ctx context.Context, p handlers.WebhookProps[Config], id string) (client.Message, error) {
	out, err := p.Client.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{
		CreateMessageInput: client.CreateMessageInput{
			ConversationID: l.conversation.id, UserID: l.user.id, Type: "text", Tags: client.Tags{tagMessage: id},
		},
		DiscriminateByTags: []string{tagMessage},
	})
	if err != nil {
		return client.Message{}, err
	}
	return out.Message, nil
}

// receiveSystem takes a person's conversation along to their new number. With
// the number they got a new user id, too. Who has none has nothing to take along,
// or has done so in an earlier attempt: what was made to look for it goes again.
func receiveSystem(ctx context.Context, p handlers.WebhookProps[Config], who person, m message) error {
	moved := m.System.WaID != "" && (m.System.Type == "user_changed_number" || m.System.Type == "user_changed_user_id")
	if !moved || who.key() == "" {
		p.Logger.WithField("system", m.System.Type).Debug("system message is not handled")
		return nil
	}
	tags := client.Tags{tagPhone: m.System.WaID, tagUserID: m.System.UserID} // an empty one goes
	for _, f := range []finder{conversations(p.Client), users(p.Client, who.Name)} {
		found, err := f.find(ctx, who)
		if err != nil {
			return err
		}
		if found.made {
			err = f.remove(ctx, found.id)
		} else {
			err = f.change(ctx, found.id, tags)
		}
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
	}
	return nil
}
