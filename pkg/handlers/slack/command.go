package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Command is a slash command that somebody gave. Who gave it has been told that
// it arrived; the bot answers with the action respond, or with a message to the
// event's conversation if it is a member of that channel.
type Command struct {
	Command     string `json:"command"` // with its slash
	Text        string `json:"text"`    // what stood behind it
	UserID      string `json:"userId"`
	UserName    string `json:"userName,omitempty"`
	ChannelID   string `json:"channelId"`
	ChannelName string `json:"channelName,omitempty"` // "directmessage" is no name
	TeamID      string `json:"teamId,omitempty"`
	// ResponseURL takes up to five answers within half an hour.
	ResponseURL string `json:"responseUrl,omitempty"`
	// TriggerID opens a modal within three seconds.
	TriggerID string `json:"triggerId,omitempty"`
}

func commandOf(form url.Values) Command {
	return Command{
		Command: form.Get("command"), Text: form.Get("text"),
		UserID: form.Get("user_id"), UserName: form.Get("user_name"),
		ChannelID: form.Get("channel_id"), ChannelName: form.Get("channel_name"), TeamID: form.Get("team_id"),
		ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"),
	}
}

// defaultAnswer is what somebody who gives a command sees at once.
const defaultAnswer = "One moment…"

// receiveCommand tells the bot, and tells whoever gave the command, and nobody
// else, that it arrived.
func receiveCommand(ctx context.Context, p handlers.WebhookProps[Config], c Command) (*events.Response, error) {
	about, err := refer(ctx, p.Client, c.ChannelID, c.UserID)
	if err != nil {
		return nil, err
	}
	if err := CommandInvoked.FireFor(ctx, p.Client, about, c); err != nil {
		return nil, err
	}
	body, err := json.Marshal(object{
		"response_type": "ephemeral", "text": cmp.Or(p.Ctx.Configuration.CommandAnswer, defaultAnswer),
	})
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return &events.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
}
