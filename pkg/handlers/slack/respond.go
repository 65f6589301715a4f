package slack

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/slack-go/slack"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

// Respond is the input of the action respond.
type Respond struct {
	ResponseURL string `json:"responseUrl"` // out of commandInvoked or interactionReceived
	Text        string `json:"text,omitempty"`
	// Blocks are Slack's own, in place of Text, which notifications then show.
	Blocks json.RawMessage `json:"blocks,omitempty"`
	// InChannel shows the answer to everybody there; else it is for the one
	// person alone.
	InChannel bool `json:"inChannel,omitempty"`
	// ReplaceOriginal and DeleteOriginal are about the message that was
	// interacted with.
	ReplaceOriginal bool `json:"replaceOriginal,omitempty"`
	DeleteOriginal  bool `json:"deleteOriginal,omitempty"`
	// ThreadID answers in a thread: the timestamp of its first message.
	ThreadID string `json:"threadId,omitempty"`
}

// Done is the output of actions that give nothing back.
type Done struct{}

// respond answers a slash command or an interaction. It needs no membership of
// the channel. Slack takes five answers to a URL within half an hour, and has no
// idempotency keys: an answer of which nobody knows how it ended is made again.
func respond(ctx context.Context, p handlers.ActionProps[Config, Respond]) (Done, error) {
	in := p.Input
	if err := fits(in.Text); err != nil {
		return Done{}, err
	}
	if in.Text == "" && len(in.Blocks) == 0 && !in.DeleteOriginal {
		return Done{}, handlers.Permanent(handlers.NewRuntimeError("there is nothing in the answer", nil))
	}
	if !isHook(p.Ctx.Configuration, in.ResponseURL) {
		return Done{}, handlers.Permanent(handlers.NewRuntimeError("responseUrl is none of Slack's: take it from the event", nil))
	}
	content := object{"response_type": "ephemeral", "replace_original": in.ReplaceOriginal, "delete_original": in.DeleteOriginal}
	if in.InChannel {
		content["response_type"] = "in_channel"
	}
	if in.Text != "" {
		content["text"] = in.Text
	}
	if len(in.Blocks) > 0 {
		content["blocks"] = in.Blocks
	}
	if in.ThreadID != "" {
		content["thread_ts"] = in.ThreadID
	}
	// The URL is the permission: no token goes along.
	hook := rest.API{Name: "Slack", HTTP: p.HTTP, Base: in.ResponseURL, Refused: refused}
	if err := hook.Do(ctx, http.MethodPost, "", content, nil); err != nil {
		return Done{}, err
	}
	p.Metadata.SetCost(1)
	return Done{}, nil
}

// OpenView is the input of the action openView. A trigger is good for three
// seconds and one view, so it is called as soon as the event comes.
type OpenView struct {
	TriggerID string          `json:"triggerId"`
	View      json.RawMessage `json:"view"` // a modal in Slack's own words
}

// Opened is the output of the action openView.
type Opened struct {
	ViewID string `json:"viewId"`
}

func openView(ctx context.Context, p handlers.ActionProps[Config, OpenView]) (Opened, error) {
	var answer struct {
		View struct {
			ID string `json:"id"`
		} `json:"view"`
	}
	err := web(p.Props, base(p.Ctx.Configuration)).Do(ctx, http.MethodPost, "views.open",
		object{"trigger_id": p.Input.TriggerID, "view": p.Input.View}, &answer)
	return Opened{ViewID: answer.View.ID}, err
}

// DownloadFile is the input of the action downloadFile.
type DownloadFile struct {
	URL string `json:"url"` // out of a message
}

// Downloaded is the output of the action downloadFile.
type Downloaded struct {
	Type string `json:"type"` // the media type, as Slack says it
	Size int64  `json:"size"` // in bytes
	Data string `json:"data"` // in base64
}

// maxDownload is how large a file may be, in bytes: it goes through the answer
// of the action.
const maxDownload = 512 << 10

// downloadFile fetches a file, which Slack hands out to the bot's token alone;
// the token goes nowhere else.
func downloadFile(ctx context.Context, p handlers.ActionProps[Config, DownloadFile]) (Downloaded, error) {
	if !isFile(p.Ctx.Configuration, p.Input.URL) {
		return Downloaded{}, handlers.Permanent(handlers.NewRuntimeError("url is none of a Slack message's files", nil))
	}
	files := web(p.Props, p.Input.URL)
	files.Refused = func(a *rest.Answer) error { return refusedFile(a, path.Ext(p.Input.URL)) }
	var answer rest.Answer
	if err := files.Do(ctx, http.MethodGet, "", nil, &answer); err != nil {
		return Downloaded{}, err
	}
	return Downloaded{
		Type: answer.Header.Get("Content-Type"), Size: int64(len(answer.Body)), Data: base64.StdEncoding.EncodeToString(answer.Body),
	}, nil
}

// refusedFile tells a file that is too large, and the page to log in on, which
// is what Slack shows in place of a file to who may not have it.
func refusedFile(a *rest.Answer, ending string) error {
	switch isPage := strings.HasPrefix(a.Header.Get("Content-Type"), "text/html"); {
	case !a.OK():
		return nil
	case len(a.Body) > maxDownload:
		return handlers.Permanent(handlers.NewRuntimeError(fmt.Sprintf("the file is larger than %d bytes", maxDownload), nil))
	case isPage && !strings.HasPrefix(ending, ".htm"):
		return handlers.Permanent(handlers.NewRuntimeError("Slack does not hand out the file: does the bot have the scope files:read?", nil))
	}
	return nil
}

// web is Slack's Web API, for what the library does not send as a form.
func web(p handlers.Props[Config], base string) rest.API {
	return rest.API{Name: "Slack", HTTP: p.HTTP, Base: base, Refused: refused,
		Header: http.Header{"Authorization": {"Bearer " + p.Ctx.Configuration.BotToken.Reveal()}}}
}

// refused reads Slack's own words, which come with any status.
func refused(a *rest.Answer) error {
	var answer struct {
		OK     *bool  `json:"ok"`
		Error  string `json:"error"`
		Needed string `json:"needed"`
	}
	if a.Status == http.StatusTooManyRequests {
		return nil
	}
	// What is no JSON is told by its status alone.
	_ = json.Unmarshal(a.Body, &answer)
	if answer.OK == nil || *answer.OK {
		return nil
	}
	return judge(slack.SlackErrorResponse{Err: cmp.Or(answer.Error, "unknown_error"), Needed: answer.Needed})
}

// isHook tells whether an address is where Slack takes answers, or where apiUrl
// is.
func isHook(c Config, address string) bool {
	at, own, ok := slacks(c, address)
	return ok && (at.Host == "hooks."+own.Host || at.Host == own.Host)
}

// isFile tells whether an address is where Slack keeps files, or with an apiUrl
// on its host. It is never below the API itself: whoever names the file would
// call any method there with the bot's token.
func isFile(c Config, address string) bool {
	at, own, ok := slacks(c, address)
	if !ok {
		return false
	}
	below := func(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(path.Clean("/"+u.Path), "/")) + "/" }
	return at.Host == "files."+own.Host ||
		c.APIURL != "" && at.Host == own.Host && !strings.HasPrefix(below(at), below(own))
}

// slacks reads an address, and that of the API, whose scheme it must have.
func slacks(c Config, address string) (at, own *url.URL, ok bool) {
	at, err := url.Parse(address)
	if err != nil || at.User != nil {
		return nil, nil, false
	}
	own, err = url.Parse(base(c))
	return at, own, err == nil && at.Scheme == own.Scheme
}
