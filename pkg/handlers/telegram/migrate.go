package telegram

import (
	"context"
	"strconv"

	"github.com/towpath/towpath/pkg/client"
)

// move lets a group's conversation go on under the id that it has as a
// supergroup. Telegram says so in both chats; who comes second finds nothing to
// do. Walking through all conversations is slow, and seldom: to ask for the one
// with the old id would make one where there is none any more.
func move(ctx context.Context, c *client.Client, from, to int64) error {
	in := client.ListConversationsInput{Channel: channelGroup, Tags: client.Tags{tagChat: strconv.FormatInt(from, 10)}}
	for {
		page, err := c.ListConversations(ctx, in)
		if err != nil {
			return err
		}
		for _, one := range page.Conversations {
			if err := moveTo(ctx, c, one.ID, strconv.FormatInt(to, 10)); err != nil {
				return err
			}
		}
		if in.NextToken = page.Meta.NextToken; in.NextToken == "" {
			return nil
		}
	}
}

func moveTo(ctx context.Context, c *client.Client, conversation, to string) error {
	_, err := c.UpdateConversation(ctx, client.UpdateConversationInput{ID: conversation, Tags: client.Tags{tagChat: to}})
	return err
}
