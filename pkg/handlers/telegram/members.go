package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Member is somebody who joined or left a group.
type Member struct {
	Chat Chat    `json:"chat"`
	User Person  `json:"user"`
	By   *Person `json:"by,omitempty"` // who added or removed them, if it was somebody else
	Date int64   `json:"date"`         // in seconds since 1970
}

// Memberships are when somebody last joined and left groups, by their
// conversations, in seconds since 1970.
type Memberships map[string]JoinedAndLeft

// JoinedAndLeft is when somebody last joined and left one group; 0 if never.
type JoinedAndLeft struct {
	Joined int64 `json:"joined,omitempty"`
	Left   int64 `json:"left,omitempty"`
}

// memberships lets somebody's coming be told once, though Telegram tells it
// twice: as a message in the group and, where the bot is an admin, as a change
// of who is in it. Neither comes always, and either may come first.
var memberships = client.DefineUserState[Memberships]("memberships")

// apart is how far, in seconds, the two times of one coming may be from each
// other.
const apart = 30

// join notes when somebody joined and tells whether that is news: that they
// joined later than is known, or left in between.
func (m *JoinedAndLeft) join(at int64) bool { return later(&m.Joined, m.Left, at) }

// leave does the same for when somebody left.
func (m *JoinedAndLeft) leave(at int64) bool { return later(&m.Left, m.Joined, at) }

func later(last *int64, opposite, at int64) bool {
	between := *last < opposite && opposite <= at
	if *last != 0 && at <= *last+apart && !between {
		return false
	}
	*last = at
	return true
}

// receiveMembers takes what the group says about who came or went.
func receiveMembers(ctx context.Context, p handlers.Props[Config], m *message) error {
	about := Member{Chat: chatOf(m.Chat), Date: max(m.Date, 1)}
	by := user{}
	if m.From != nil {
		by = *m.From
	}
	for _, joined := range m.NewMembers {
		if err := tell(ctx, p, m.Chat, joined, by, about, true); err != nil {
			return err
		}
	}
	if m.LeftMember != nil {
		return tell(ctx, p, m.Chat, *m.LeftMember, by, about, false)
	}
	return nil
}

// receiveMembership takes a change of what somebody is in a group.
func receiveMembership(ctx context.Context, p handlers.Props[Config], m *membership) error {
	if m.Old.in() == m.New.in() {
		return nil // an admin now, or restricted
	}
	about := Member{Chat: chatOf(m.Chat), Date: max(m.Date, 1)}
	return tell(ctx, p, m.Chat, m.New.User, m.From, about, m.New.in())
}

// tell fires the event, unless it was before. It is noted afterwards: fired
// again by another attempt, it still reaches the bot once.
func tell(ctx context.Context, p handlers.Props[Config], in chat, who, by user, about Member, joined bool) error {
	about.User = personOf(p, who)
	if by.ID != 0 && by.ID != who.ID {
		about.By = new(personOf(p, by))
	}
	conversation, err := conversationOf(ctx, p.Client, in)
	if err != nil {
		return err
	}
	person, err := userOf(ctx, p.Client, who.ID, who.name(), who)
	if err != nil {
		return err
	}
	known, err := memberships.Get(ctx, p.Client, person.ID)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return err
	}
	here := known[conversation.ID]
	event, note := MemberLeft, here.leave
	if joined {
		event, note = MemberJoined, here.join
	}
	if !note(about.Date) {
		return nil
	}
	if err := event.FireFor(ctx, p.Client, events.Refs{ConversationID: conversation.ID, UserID: person.ID}, about); err != nil {
		return err
	}
	// Only this group's: another group's lane may be noting something, too.
	payload, err := json.Marshal(Memberships{conversation.ID: here})
	if err != nil {
		return fmt.Errorf("encode memberships: %w", err)
	}
	_, err = p.Client.PatchState(ctx, client.PatchStateInput{
		Type: memberships.StateType(), ID: person.ID, Name: memberships.StateName(), Payload: payload,
	})
	return err
}
