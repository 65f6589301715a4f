package telegram

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// maxName is how long a user's name may be.
const maxName = 200

// handle never has an answer: Telegram would take one for a request of its API.
func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	var u update
	if err := json.Unmarshal(p.Req.Body, &u); err != nil {
		return nil, handlers.Permanent(fmt.Errorf("decode Telegram's update: %w", err))
	}
	switch {
	case u.Message != nil:
		return nil, receive(ctx, p.Props, u.Message)
	case u.ChannelPost != nil:
		return nil, receive(ctx, p.Props, u.ChannelPost)
	case u.EditedMessage != nil:
		return nil, receiveMessage(ctx, p.Props, u.EditedMessage)
	case u.EditedChannelPost != nil:
		return nil, receiveMessage(ctx, p.Props, u.EditedChannelPost)
	case u.CallbackQuery != nil:
		return nil, receiveQuery(ctx, p.Props, u.CallbackQuery)
	case u.ChatMember != nil:
		return nil, receiveMembership(ctx, p.Props, u.ChatMember)
	}
	p.Logger.Debug("update is not handled")
	return nil, nil
}

// receive takes a message of a chat, or what a chat says about itself.
func receive(ctx context.Context, p handlers.Props[Config], m *message) error {
	switch {
	case m.MigrateTo != 0:
		return move(ctx, p.Client, m.Chat.ID, m.MigrateTo)
	case m.MigrateFrom != 0:
		return move(ctx, p.Client, m.MigrateFrom, m.Chat.ID)
	case len(m.NewMembers) > 0, m.LeftMember != nil:
		return receiveMembers(ctx, p, m)
	}
	return receiveMessage(ctx, p, m)
}

// receiveMessage tells the bot what somebody wrote. An edited message takes the
// place of what it was, and becomes a message of its own only if that is not
// known, or was of another type.
func receiveMessage(ctx context.Context, p handlers.Props[Config], m *message) error {
	payload := m.payload()
	if payload == nil {
		p.Logger.Debug("message has nothing that could be shown")
		return nil
	}
	if from := m.From; m.SenderChat == nil && from != nil && (from.IsBot || from.ID == p.Ctx.Configuration.own()) {
		return nil // bots must not answer each other for ever
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode %s: %w", payload.MessageType(), err)
	}
	conversation, err := conversationOf(ctx, p.Client, m.Chat)
	if err != nil {
		return err
	}
	id, name, person := m.sentBy()
	sender, err := userOf(ctx, p.Client, id, name, person)
	if err != nil {
		return err
	}
	in := client.GetOrCreateMessageInput{
		CreateMessageInput: client.CreateMessageInput{
			ConversationID: conversation.ID, UserID: sender.ID, Type: payload.MessageType(), Tags: m.tags(),
		},
		// A group that becomes a supergroup counts its messages anew.
		DiscriminateByTags: []string{tagChat, tagMessage},
	}
	known, err := find(ctx, p.Client, in)
	switch {
	case err != nil:
		return err
	case known == nil:
	case m.EditDate == 0 || known.Direction == client.Outgoing || m.EditDate <= seconds(known.Tags[tagEdited]):
		return nil // told before
	case known.Type == in.Type:
		_, err = p.Client.UpdateMessage(ctx, client.UpdateMessageInput{ID: known.ID, Tags: in.Tags, Payload: encoded})
		return err
	default:
		in.DiscriminateByTags = append(in.DiscriminateByTags, tagEdited)
	}
	in.Payload = encoded
	_, err = p.Client.GetOrCreateMessage(ctx, in)
	return err
}

// find returns the message with the tags of in, nil if there is none.
func find(ctx context.Context, c *client.Client, in client.GetOrCreateMessageInput) (*client.Message, error) {
	in.Tags = client.Tags{tagChat: in.Tags[tagChat], tagMessage: in.Tags[tagMessage]}
	found, err := c.GetOrCreateMessage(ctx, in)
	if errors.Is(err, client.ErrInvalid) {
		return nil, nil // it would have to be made, and has no payload
	}
	if err != nil {
		return nil, err
	}
	return &found.Message, nil
}

func seconds(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (m *message) tags() client.Tags {
	tags := client.Tags{tagChat: strconv.FormatInt(m.Chat.ID, 10), tagMessage: strconv.FormatInt(m.ID, 10)}
	set := func(name string, value int64) {
		if value != 0 {
			tags[name] = strconv.FormatInt(value, 10)
		}
	}
	if m.InTopic { // a thread of answers has an id, too, to which nothing can be sent
		set(tagThread, m.ThreadID)
	}
	set(tagEdited, m.EditDate)
	if m.ReplyTo != nil {
		set(tagReplyTo, m.ReplyTo.ID)
	}
	return tags
}

func conversationOf(ctx context.Context, c *client.Client, about chat) (client.Conversation, error) {
	out, err := c.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel:            about.channel(),
		Tags:               given(client.Tags{tagChat: strconv.FormatInt(about.ID, 10), tagChatType: about.Type, tagTitle: about.Title}),
		DiscriminateByTags: []string{tagChat},
	})
	if err != nil {
		return client.Conversation{}, err
	}
	return out.Conversation, nil
}

func userOf(ctx context.Context, c *client.Client, id int64, name string, person user) (client.User, error) {
	out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{
		Tags:               given(client.Tags{tagUser: strconv.FormatInt(id, 10), tagUsername: person.Username, tagLanguage: person.Language}),
		Name:               texts.Cut(cmp.Or(name, person.Username), maxName, texts.Characters),
		DiscriminateByTags: []string{tagUser},
	})
	if err != nil {
		return client.User{}, err
	}
	return out.User, nil
}

// given leaves out tags without a value.
func given(tags client.Tags) client.Tags {
	for name, value := range tags {
		if value == "" {
			delete(tags, name)
		}
	}
	return tags
}
