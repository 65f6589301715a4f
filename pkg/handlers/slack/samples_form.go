package slack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// The samples of what people do in Slack's own windows, which comes as a form,
// and of files, whose URL is where apiUrl is.

// at is an address of the fake if the installation has one, else of Slack.
func at(c Config, host, fakePath, rest string) string {
	if c.APIURL == "" {
		return "https://" + host + rest
	}
	return strings.TrimSuffix(c.APIURL, "/") + strings.TrimSuffix(fakePath, "/") + rest
}

// fileAt is the address of a file: the fake's stand beside the API, not below
// it.
func fileAt(c Config, file string) string {
	if own, err := url.Parse(c.APIURL); err == nil && own.Host != "" {
		return own.JoinPath("..", file).String()
	}
	return "https://files.slack.com" + file
}

func shareFile(a handlers.SampleArgs, c Config) (*events.Request, error) {
	return event(func(a handlers.SampleArgs) object {
		shared := said(a)
		shared["subtype"], shared["upload"] = "file_share", false
		shared["files"] = []object{{
			"id": "F0TOWPATH1", "name": "lock.png", "title": "The lock", "mimetype": "image/png", "filetype": "png", "size": 8,
			"mode": "hosted", "user": a.User, "is_external": false,
			"url_private": fileAt(c, fakeFiles+sampleTeam+"-F0TOWPATH1/lock.png"),
			"permalink":   "https://towpath.slack.example/files/" + a.User + "/F0TOWPATH1/lock.png",
		}}
		return shared
	})(a, c)
}

func giveCommand(a handlers.SampleArgs, c Config) (*events.Request, error) {
	return signed(a, c, formType, []byte(url.Values{
		"command": {"/towpath"}, "text": {a.Text}, "team_id": {sampleTeam}, "team_domain": {"towpath"}, "api_app_id": {sampleApp},
		"channel_id": {a.Conversation}, "channel_name": {"general"}, "user_id": {a.User}, "user_name": {"newcomer"},
		"is_enterprise_install": {"false"}, "trigger_id": {trigger(a)},
		"response_url": {at(c, "hooks.slack.com", fakeResponses, "/commands/"+sampleTeam+"/"+a.ID)},
	}.Encode()))
}

const formType = "application/x-www-form-urlencoded"

func trigger(a handlers.SampleArgs) string { return fmt.Sprintf("%d.%s", a.Now.Unix(), a.ID) }

// interact puts an interaction into its form.
func interact(inner func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		content := inner(a)
		content["team"] = object{"id": sampleTeam, "domain": "towpath"}
		content["user"] = object{"id": a.User, "username": "newcomer", "name": "newcomer", "team_id": sampleTeam}
		content["api_app_id"], content["trigger_id"], content["token"] = sampleApp, trigger(a), "deprecated"
		content["enterprise"], content["is_enterprise_install"] = nil, false
		if _, ok := content["channel"]; ok {
			content["response_url"] = at(c, "hooks.slack.com", fakeResponses, "/actions/"+sampleTeam+"/"+a.ID)
		}
		payload, err := json.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encode sample: %w", err)
		}
		return signed(a, c, formType, []byte(url.Values{"payload": {string(payload)}}.Encode()))
	}
}

// pressed is a button of a choice that the bot asked.
func pressed(a handlers.SampleArgs) object {
	ts := timestamp(a.Now.Add(-time.Minute))
	return object{
		"type":      "block_actions",
		"channel":   object{"id": a.Conversation, "name": "general"},
		"container": object{"type": "message", "message_ts": ts, "channel_id": a.Conversation, "is_ephemeral": false},
		"message":   object{"type": "message", "ts": ts, "user": sampleBotUser, "bot_id": sampleBot, "text": "Tea?"},
		"actions": []object{{
			"type": "button", "action_id": sayPrefix + "1", "block_id": "b1", "value": a.Text, "action_ts": timestamp(a.Now),
			"text": object{"type": "plain_text", "text": cmp.Or(a.Text, "Yes")},
		}},
		"state": object{"values": object{}},
	}
}

func submitted(a handlers.SampleArgs) object {
	return object{
		"type": "view_submission", "response_urls": []object{},
		"view": object{
			"id": "V0TOWPATH1", "team_id": sampleTeam, "type": "modal", "callback_id": "feedback", "private_metadata": a.Conversation,
			"hash": "1.abc", "root_view_id": "V0TOWPATH1", "app_id": sampleApp, "bot_id": sampleBot, "blocks": []object{},
			"state": object{"values": object{"words": object{"input": object{"type": "plain_text_input", "value": a.Text}}}},
		},
	}
}

func shortcut(a handlers.SampleArgs) object {
	return object{"type": "shortcut", "callback_id": "tow", "action_ts": timestamp(a.Now)}
}

func messageShortcut(a handlers.SampleArgs) object {
	ts := timestamp(a.Now.Add(-time.Minute))
	return object{
		"type": "message_action", "callback_id": "tow_this", "action_ts": timestamp(a.Now), "message_ts": ts,
		"channel": object{"id": a.Conversation, "name": "general"},
		"message": object{"type": "message", "ts": ts, "user": a.User, "text": a.Text},
	}
}
