package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// The workspace, app and bot of the samples and of the fake.
const (
	sampleTeam    = "T0TOWPATH1"
	sampleApp     = "A0TOWPATH1"
	sampleBot     = "B0TOWPATH1"
	sampleBotUser = "U0TOWPATH1"
)

// object is a JSON object.
type object = map[string]any

var samples = handlers.Samples[Config]{
	"message": {Title: "somebody writes a message", Build: event(said)},
	"message_thread": {Title: "somebody answers in a thread", Build: event(func(a handlers.SampleArgs) object {
		answer := said(a)
		answer["thread_ts"] = timestamp(a.Now.Add(-time.Minute))
		return answer
	})},
	"message_bot": {Title: "the bot's own message comes back", Build: event(func(a handlers.SampleArgs) object {
		return object{
			"type": "message", "channel": a.Conversation, "channel_type": "channel", "user": sampleBotUser, "team": sampleTeam,
			"text": a.Text, "ts": timestamp(a.Now), "event_ts": timestamp(a.Now), "bot_id": sampleBot, "app_id": sampleApp,
			"bot_profile": object{"id": sampleBot, "app_id": sampleApp, "name": "towpath", "team_id": sampleTeam, "deleted": false},
		}
	})},
	"reaction_added": {Title: "somebody reacts with an emoji", Build: event(func(a handlers.SampleArgs) object {
		return object{
			"type": "reaction_added", "user": a.User, "reaction": "eyes", "item_user": sampleBotUser,
			"item":     object{"type": "message", "channel": a.Conversation, "ts": timestamp(a.Now.Add(-time.Minute))},
			"event_ts": timestamp(a.Now),
		}
	})},
	"reaction_removed": {Title: "somebody takes an emoji back", Build: event(func(a handlers.SampleArgs) object {
		return object{
			"type": "reaction_removed", "user": a.User, "reaction": "eyes", "item_user": sampleBotUser,
			"item":     object{"type": "message", "channel": a.Conversation, "ts": timestamp(a.Now.Add(-time.Minute))},
			"event_ts": timestamp(a.Now),
		}
	})},
	"app_mention": {Title: "somebody names the bot", Build: event(func(a handlers.SampleArgs) object {
		named := said(a)
		named["type"], named["text"] = "app_mention", "<@"+sampleBotUser+"> "+a.Text
		delete(named, "channel_type")
		return named
	})},
	"message_changed": {Title: "somebody edits a message", Build: event(func(a handlers.SampleArgs) object {
		before, now := said(a), said(a)
		before["text"] = "before"
		now["edited"] = object{"user": a.User, "ts": timestamp(a.Now.Add(time.Minute))}
		return object{
			"type": "message", "subtype": "message_changed", "hidden": true, "channel": a.Conversation, "channel_type": "channel",
			"message": now, "previous_message": before, "ts": timestamp(a.Now.Add(time.Minute)), "event_ts": timestamp(a.Now.Add(time.Minute)),
		}
	})},
	"message_deleted": {Title: "somebody deletes a message", Build: event(func(a handlers.SampleArgs) object {
		return object{
			"type": "message", "subtype": "message_deleted", "hidden": true, "channel": a.Conversation, "channel_type": "channel",
			"deleted_ts": timestamp(a.Now), "previous_message": said(a),
			"ts": timestamp(a.Now.Add(time.Minute)), "event_ts": timestamp(a.Now.Add(time.Minute)),
		}
	})},
	"file_share":      {Title: "somebody shares a picture", Build: shareFile},
	"slash_command":   {Title: "somebody gives a slash command", Build: giveCommand},
	"block_actions":   {Title: "somebody presses a button", Build: interact(pressed)},
	"view_submission": {Title: "somebody sends a modal off", Build: interact(submitted)},
	"shortcut":        {Title: "somebody uses a shortcut", Build: interact(shortcut)},
	"message_action":  {Title: "somebody uses a message's shortcut", Build: interact(messageShortcut)},
	"team_join": {Title: "somebody joins the workspace", Build: event(func(a handlers.SampleArgs) object {
		return object{
			"type": "team_join", "cache_ts": a.Now.Unix(), "event_ts": timestamp(a.Now),
			"user": object{
				"id": a.User, "team_id": sampleTeam, "name": "newcomer", "real_name": "New Comer", "deleted": false,
				"tz": "Europe/Amsterdam", "tz_label": "Central European Time", "tz_offset": 3600, "is_bot": false,
				"profile": object{"display_name": "newcomer", "real_name": "New Comer", "email": "newcomer@example.com"},
			},
		}
	})},
	"url_verification": {Title: "Slack asks whether the URL is ours", Build: func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		return signedJSON(a, configuration, object{"type": typeChallenge, "challenge": a.ID})
	}},
}

// said is the event of a message.
func said(a handlers.SampleArgs) object {
	return object{
		"type": "message", "channel": a.Conversation, "channel_type": "channel", "user": a.User, "team": sampleTeam,
		"text": a.Text, "ts": timestamp(a.Now), "event_ts": timestamp(a.Now), "client_msg_id": a.ID,
		"blocks": []object{{"type": "rich_text", "elements": []object{{
			"type": "rich_text_section", "elements": []object{{"type": "text", "text": a.Text}},
		}}}},
	}
}

// event puts an event into its envelope.
func event(inner func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		return signedJSON(a, configuration, object{
			"type": typeEvent, "team_id": sampleTeam, "api_app_id": sampleApp, "event": inner(a),
			"event_id": "Ev" + a.ID, "event_time": a.Now.Unix(), "is_ext_shared_channel": false,
			"authorizations": []object{{
				"enterprise_id": nil, "team_id": sampleTeam, "user_id": sampleBotUser, "is_bot": true, "is_enterprise_install": false,
			}},
		})
	}
}

func signedJSON(a handlers.SampleArgs, configuration Config, content object) (*events.Request, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode sample: %w", err)
	}
	return signed(a, configuration, "application/json", body)
}

func signed(a handlers.SampleArgs, configuration Config, contentType string, body []byte) (*events.Request, error) {
	message := signature.Message{Header: http.Header{"Content-Type": {contentType}}, Body: body}
	if err := signature.Slack.Sign(&message, configuration.SigningSecret[0].Reveal(), a.Now); err != nil {
		return nil, fmt.Errorf("sign sample: %w", err)
	}
	return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
}

// timestamp writes a time as Slack does: seconds, and six digits that make it
// an id.
func timestamp(at time.Time) string {
	return fmt.Sprintf("%d.%06d", at.Unix(), at.Nanosecond()/1000)
}
