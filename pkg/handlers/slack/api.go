package slack

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/slack-go/slack"

	"github.com/towpath/towpath/pkg/handlers"
)

// api returns Slack's Web API for an installation. It retries nothing: the
// worker does, which knows what may be sent again.
func api(p handlers.Props[Config]) *slack.Client {
	token := p.Ctx.Configuration.BotToken.Reveal()
	return slack.New("",
		slack.OptionHTTPClient(bearer{p.HTTP, token}),
		slack.OptionAPIURL(base(p.Ctx.Configuration)))
}

// base is where Slack's Web API is, with a slash at its end.
func base(c Config) string {
	return strings.TrimSuffix(cmp.Or(c.APIURL, slack.APIURL), "/") + "/"
}

// bearer sends the token in a header. The library writes it into the form,
// where it would be recorded along with the message.
type bearer struct {
	http  *http.Client
	token string
}

// Do implements the library's HTTP client.
func (b bearer) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read form: %w", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("decode form: %w", err)
	}
	form.Del("token")
	body = []byte(form.Encode())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.ContentLength = int64(len(body))
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.http.Do(r)
}

// unauthorized are Slack's words for credentials that will not do.
var unauthorized = map[string]bool{
	"invalid_auth": true, "not_authed": true, "account_inactive": true, "token_revoked": true, "token_expired": true,
	"missing_scope": true, "team_access_not_granted": true, "org_login_required": true, "not_allowed_token_type": true,
}

// permanent are Slack's words for what would fail again, with what to do about
// it where there is something to say.
var permanent = map[string]string{
	"channel_not_found":       "check the channel's id, and invite the bot if it is private",
	"not_in_channel":          "invite the bot to the channel",
	"is_archived":             "the channel is archived",
	"no_text":                 "the message has no text",
	"thread_not_found":        "the thread is gone",
	"cannot_reply_to_message": "that message takes no replies",
	"invalid_blocks":          "Slack could not use the message's content, such as the URL of an image",
	"msg_blocks_too_long":     "the message is too long",
	"msg_too_long":            "the message is too long",
	"too_many_attachments":    "the message has too many attachments",
	"user_not_found":          "check the user's id",
	"unknown_method":          "check apiUrl",
	"markdown_text_conflict":  "Slack could not use the message's Markdown",
	"message_not_found":       "the message is gone",
	"cant_update_message":     "the bot may change only its own messages",
	"edit_window_closed":      "the workspace lets nobody change a message that old",
	"used_url":                "the response URL has been used five times; send a message to the channel",
	"expired_url":             "the response URL is older than half an hour; send a message to the channel",
	"expired_trigger_id":      "the trigger is older than three seconds",
	"trigger_expired":         "the trigger is older than three seconds",
	"exchanged_trigger_id":    "the trigger has been used",
	"trigger_exchanged":       "the trigger has been used",
	"invalid_trigger_id":      "the trigger is none of Slack's",
	"view_too_large":          "the view is too large",
	"duplicate_external_id":   "there is another view with that external_id",
}

// judge decides what an error of Slack's API means. What it does not know is
// tried again.
func judge(err error) error {
	if err == nil {
		return nil
	}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return handlers.RetryAfter(fmt.Errorf("slack: %w", err), limited.RetryAfter)
	}
	refused, ok := errors.AsType[slack.SlackErrorResponse](err)
	if !ok {
		return fmt.Errorf("slack: %w", err)
	}
	code := refused.Err
	if unauthorized[code] {
		message := "Slack refuses the bot token: " + code
		if refused.Needed != "" {
			message += ", it needs " + refused.Needed
		}
		return handlers.Unauthorized(handlers.NewRuntimeError(message, err))
	}
	if advice, ok := permanent[code]; ok {
		return handlers.Permanent(handlers.NewRuntimeError("Slack says "+code+": "+advice, err))
	}
	if strings.HasPrefix(code, "restricted_action") || strings.HasPrefix(code, "invalid_arg") ||
		strings.HasPrefix(code, "invalid_blocks") {
		return handlers.Permanent(handlers.NewRuntimeError("Slack says "+code, err))
	}
	return fmt.Errorf("slack: %w", err)
}
