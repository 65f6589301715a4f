package whatsapp

import (
	"context"
	"errors"

	"github.com/towpath/towpath/pkg/client"
)

// person is somebody on WhatsApp. Phone or UserID may be missing.
type person struct {
	Phone, UserID, Name, Username string
}

// tags are those that find a person, of which there is at least one.
func (p person) tags() client.Tags {
	tags := client.Tags{}
	if p.Phone != "" {
		tags[tagPhone] = p.Phone
	}
	if p.UserID != "" {
		tags[tagUserID] = p.UserID
	}
	return tags
}

var errNobody = errors.New("it tells neither a phone number nor a user id")

// entity is a user or a conversation.
type entity struct {
	id   string
	tags client.Tags
	made bool
}

// finder gets or makes users, or conversations.
type finder struct {
	// get finds one by a single tag, and gives it all of them.
	get    func(ctx context.Context, by string, tags client.Tags) (entity, error)
	change func(ctx context.Context, id string, tags client.Tags) error
	remove func(ctx context.Context, id string) error
}

// find returns the one that belongs to a person, whichever of number and id it
// was made with: a bot may have written to the number first, and a person may
// show the number only later.
func (f finder) find(ctx context.Context, p person) (entity, error) {
	switch {
	case p.Phone == "" && p.UserID == "":
		return entity{}, unreadable("message", errNobody)
	case p.Phone == "":
		return f.get(ctx, tagUserID, p.tags())
	case p.UserID == "":
		return f.get(ctx, tagPhone, p.tags())
	}
	found, err := f.get(ctx, tagPhone, client.Tags{tagPhone: p.Phone})
	switch other := found.tags[tagUserID]; {
	case err != nil || other == p.UserID:
		return found, err
	case other != "":
		// The number has another owner now, who must not read what the one
		// before was told.
		if err := f.change(ctx, found.id, client.Tags{tagPhone: ""}); err != nil {
			return entity{}, err
		}
		return f.get(ctx, tagUserID, p.tags())
	case found.made:
		return f.settle(ctx, p, found)
	default:
		return f.get(ctx, tagPhone, p.tags())
	}
}

// settle gives the id to one that was made for its number, unless there is one
// with that id: then that is the person's, and the new one, which nobody has seen
// yet, is removed again.
func (f finder) settle(ctx context.Context, p person, made entity) (entity, error) {
	if _, err := f.get(ctx, tagPhone, p.tags()); err != nil {
		return entity{}, err
	}
	known, err := f.get(ctx, tagUserID, client.Tags{tagUserID: p.UserID})
	if err != nil {
		return entity{}, err
	}
	if known.id == made.id {
		known.made = true
		return known, nil
	}
	if err := f.remove(ctx, made.id); err != nil && !errors.Is(err, client.ErrNotFound) {
		return entity{}, err
	}
	return f.get(ctx, tagUserID, p.tags())
}

func conversations(c *client.Client) finder {
	return finder{
		get: func(ctx context.Context, by string, tags client.Tags) (entity, error) {
			out, err := c.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
				Channel: channelName, Tags: tags, DiscriminateByTags: []string{by},
			})
			if err != nil {
				return entity{}, err
			}
			return entity{out.Conversation.ID, out.Conversation.Tags, out.Meta.Created}, nil
		},
		change: func(ctx context.Context, id string, tags client.Tags) error {
			_, err := c.UpdateConversation(ctx, client.UpdateConversationInput{ID: id, Tags: tags})
			return err
		},
		remove: c.DeleteConversation,
	}
}

func users(c *client.Client, name string) finder {
	return finder{
		get: func(ctx context.Context, by string, tags client.Tags) (entity, error) {
			out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{
				Name: name, Tags: tags, DiscriminateByTags: []string{by},
			})
			if err != nil {
				return entity{}, err
			}
			return entity{out.User.ID, out.User.Tags, out.Meta.Created}, nil
		},
		change: func(ctx context.Context, id string, tags client.Tags) error {
			_, err := c.UpdateUser(ctx, client.UpdateUserInput{ID: id, Tags: tags})
			return err
		},
		remove: c.DeleteUser,
	}
}
