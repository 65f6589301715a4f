package telegram

import (
	"cmp"
	"net/url"

	"github.com/towpath/towpath/pkg/events"
)

const (
	maxButtons    = 100 // below one message
	maxButtonData = 64  // bytes of what a button says when it is pressed
)

// buttons is an inline keyboard, nil if there are none. What cannot be a button
// is returned as lines of text.
func buttons(actions []events.CardAction) (keyboard object, rest []string) {
	var rows [][]object
	for _, action := range actions {
		label := cmp.Or(action.Label, action.Value)
		switch {
		case label == "":
		case len(rows) == maxButtons:
			rest = append(rest, label)
		case action.Action == "url" && isLink(action.Value):
			rows = append(rows, []object{{"text": label, "url": action.Value}})
		case action.Action == "url":
			rest = append(rest, lines(label, action.Value))
		case action.Value == "" || len(action.Value) > maxButtonData:
			rest = append(rest, label)
		default:
			rows = append(rows, []object{{"text": label, "callback_data": action.Value}})
		}
	}
	if rows == nil {
		return nil, rest
	}
	return object{"inline_keyboard": rows}, rest
}

// isLink tells whether Telegram takes a text as a button's URL.
func isLink(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" || err == nil && parsed.Scheme == "tg"
}

// below puts a keyboard below the last of several messages.
func below(calls []call, keyboard object) []call {
	if keyboard != nil && len(calls) > 0 {
		calls[len(calls)-1].params["reply_markup"] = keyboard
	}
	return calls
}
