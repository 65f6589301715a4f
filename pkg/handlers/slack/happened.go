package slack

import (
	"context"
	"encoding/json"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Reaction is an emoji that somebody put on something, or took away.
type Reaction struct {
	Reaction string `json:"reaction"` // the emoji's name, without colons
	User     string `json:"user"`     // the Slack id of who did it
	ItemUser string `json:"itemUser,omitempty"`
	Item     Item   `json:"item"`
	EventTS  string `json:"eventTs"`
}

// Item is what a reaction is about: a message by channel and timestamp, or a
// file by its id.
type Item struct {
	Type    string `json:"type"`
	Channel string `json:"channel,omitempty"`
	TS      string `json:"ts,omitempty"`
	File    string `json:"file,omitempty"`
}

// Mention is a message that names the bot. It is told as a message, too: the
// event's messageId is that one's.
type Mention struct {
	User     string `json:"user"` // the Slack id of who wrote it
	Channel  string `json:"channel"`
	Text     string `json:"text"`
	TS       string `json:"ts"`
	ThreadTS string `json:"threadTs,omitempty"`
	EventTS  string `json:"eventTs,omitempty"`
}

// Member is somebody who joined the workspace.
type Member struct {
	User    Person `json:"user"`
	EventTS string `json:"eventTs,omitempty"`
}

// Person is a Slack user. Email is there if the app may read it.
type Person struct {
	ID          string `json:"id"`
	TeamID      string `json:"teamId"`
	Name        string `json:"name"`
	RealName    string `json:"realName,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	Email       string `json:"email,omitempty"`
	TimeZone    string `json:"timeZone,omitempty"` // IANA name
	IsBot       bool   `json:"isBot"`
}

func receiveReaction(ctx context.Context, p handlers.WebhookProps[Config], happened events.Type[Reaction], raw json.RawMessage) error {
	var r struct {
		Reaction string `json:"reaction"`
		User     string `json:"user"`
		ItemUser string `json:"item_user"`
		Item     Item   `json:"item"`
		EventTS  string `json:"event_ts"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return unreadable("reaction", err)
	}
	if own, err := isOwn(ctx, p, r.User); own || err != nil {
		return err
	}
	return happened.Fire(ctx, p.Client, Reaction(r))
}

// receiveMention tells of a mention and, if the message itself did not come
// before it, of the message: an app that subscribes to mentions alone gets no
// other.
func receiveMention(ctx context.Context, p handlers.WebhookProps[Config], raw json.RawMessage) error {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable("app_mention", err)
	}
	if heard, err := isHeard(ctx, p, m); !heard || err != nil {
		return err
	}
	about, err := refer(ctx, p.Client, m.Channel, m.User)
	if err != nil {
		return err
	}
	known, err := find(ctx, p.Client, about, m.TS)
	if err != nil {
		return err
	}
	if known != nil {
		about.MessageID = known.ID
	} else if about.MessageID, err = create(ctx, p.Client, about, m); err != nil {
		return err
	}
	return AppMentioned.FireFor(ctx, p.Client, about, Mention{
		User: m.User, Channel: m.Channel, Text: m.Text, TS: m.TS, ThreadTS: m.ThreadTS, EventTS: m.EventTS,
	})
}

func receiveMember(ctx context.Context, p handlers.WebhookProps[Config], raw json.RawMessage) error {
	var join struct {
		User struct {
			ID       string `json:"id"`
			TeamID   string `json:"team_id"`
			Name     string `json:"name"`
			RealName string `json:"real_name"`
			TimeZone string `json:"tz"`
			IsBot    bool   `json:"is_bot"`
			Profile  struct {
				DisplayName string `json:"display_name"`
				Email       string `json:"email"`
			} `json:"profile"`
		} `json:"user"`
		EventTS string `json:"event_ts"`
	}
	if err := json.Unmarshal(raw, &join); err != nil {
		return unreadable("team_join", err)
	}
	return MemberJoined.Fire(ctx, p.Client, Member{EventTS: join.EventTS, User: Person{
		ID: join.User.ID, TeamID: join.User.TeamID, Name: join.User.Name, RealName: join.User.RealName,
		DisplayName: join.User.Profile.DisplayName, Email: join.User.Profile.Email,
		TimeZone: join.User.TimeZone, IsBot: join.User.IsBot,
	}})
}
