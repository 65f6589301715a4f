package telegram

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// SendMessage is the input of the action sendMessage.
type SendMessage struct {
	ChatID   string `json:"chatId"` // a chat's id, or the "@name" of a channel
	Text     string `json:"text"`
	ThreadID string `json:"threadId,omitempty"` // a forum's topic
	ReplyTo  string `json:"replyTo,omitempty"`  // the id of a message in the chat
}

// Sent is the output of the action sendMessage. ChatID differs from the input's
// when the group became a supergroup.
type Sent struct {
	ChatID    string `json:"chatId"`
	MessageID string `json:"messageId"`
}

// sendMessage sends one message. A long text is not taken apart: when its second
// part failed, the next attempt would send the first one again.
func sendMessage(ctx context.Context, p handlers.ActionProps[Config, SendMessage]) (Sent, error) {
	if n := texts.Length(p.Input.Text, texts.UTF16); n > maxText {
		return Sent{}, handlers.Permanent(handlers.NewRuntimeError(
			fmt.Sprintf("the text has %d characters and Telegram takes %d: send it as several messages", n, maxText), nil))
	}
	to := &address{props: p.Props, chat: p.Input.ChatID}
	tags := map[string]string{tagThread: p.Input.ThreadID, tagReplyTo: p.Input.ReplyTo}
	var err error
	if to.thread, err = number(tags, tagThread); err != nil {
		return Sent{}, err
	}
	if to.replyTo, err = number(tags, tagReplyTo); err != nil {
		return Sent{}, err
	}
	id, err := to.send(ctx, call{"sendMessage", object{"text": p.Input.Text}}, true)
	if err != nil {
		return Sent{}, err
	}
	p.Metadata.SetCost(1)
	return Sent{ChatID: to.chat, MessageID: id}, nil
}

// DownloadFile is the input of the action downloadFile.
type DownloadFile struct {
	URL string `json:"url"` // such as "telegram:photo/AgACAg…", out of a message
}

// Downloaded is the output of the action downloadFile.
type Downloaded struct {
	Name string `json:"name"` // Telegram's own, with an ending that tells the type
	Size int64  `json:"size"` // in bytes
	Data string `json:"data"` // in base64
}

// maxDownload is how large a file may be, in bytes: it goes through the answer
// of the action.
const maxDownload = 512 << 10

func downloadFile(ctx context.Context, p handlers.ActionProps[Config, DownloadFile]) (Downloaded, error) {
	_, fileID, ok := dereference(p.Input.URL)
	if !ok {
		return Downloaded{}, handlers.Permanent(handlers.NewRuntimeError("url is none of a Telegram message: it begins with "+fileScheme, nil))
	}
	var found struct {
		Result struct {
			Path string `json:"file_path"`
			Size int64  `json:"file_size"`
		} `json:"result"`
	}
	if err := api(p.Props).Do(ctx, http.MethodPost, "getFile", object{"file_id": fileID}, &found); err != nil {
		return Downloaded{}, err
	}
	tooLarge := handlers.Permanent(handlers.NewRuntimeError(fmt.Sprintf("the file is larger than %d bytes", maxDownload), nil))
	if found.Result.Size > maxDownload {
		return Downloaded{}, tooLarge
	}
	where := strings.Split(found.Result.Path, "/")
	for i := range where {
		where[i] = url.PathEscape(where[i])
	}
	var answer rest.Answer
	if err := files(p.Props).Do(ctx, http.MethodGet, strings.Join(where, "/"), nil, &answer); err != nil {
		return Downloaded{}, err
	}
	if len(answer.Body) > maxDownload {
		return Downloaded{}, tooLarge
	}
	return Downloaded{
		Name: path.Base(found.Result.Path), Size: int64(len(answer.Body)), Data: base64.StdEncoding.EncodeToString(answer.Body),
	}, nil
}
