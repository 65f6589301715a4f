package telegram

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// How much Telegram takes, in UTF-16 units.
const (
	maxText    = 4096
	maxCaption = 1024
)

// call is one request of the Bot API that sends a message: all of it but where
// to.
type call struct {
	method string
	params object
}

// shown is a message type that can be shown, on its own and in a bloc.
type shown struct {
	alone handlers.Message[Config]
	item  func(json.RawMessage) ([]call, error)
}

func shows[M any](say func(M) []call) shown {
	return shown{sends(say), func(raw json.RawMessage) ([]call, error) {
		var m M
		err := json.Unmarshal(raw, &m)
		return say(m), err
	}}
}

var types = map[string]shown{
	"text":     shows(func(m events.Text) []call { return sayText(m.Text) }),
	"markdown": shows(func(m events.Markdown) []call { return sayText(m.Markdown) }),
	"image":    shows(sayImage),
	"audio":    shows(sayAudio),
	"video":    shows(sayVideo),
	"file":     shows(sayFile),
	"location": shows(sayLocation),
	"card":     shows(sayCard),
	"carousel": shows(sayCarousel),
	"choice":   shows(func(m events.Choice) []call { return ask(m.Text, m.Options) }),
	"dropdown": shows(func(m events.Dropdown) []call { return ask(m.Text, m.Options) }),
}

// messages are the message types of both channels.
func messages() handlers.Messages[Config] {
	all := handlers.Messages[Config]{"bloc": handlers.NewMessage(sendBloc)}
	for name, one := range types {
		all[name] = one.alone
	}
	return all
}

// sayText is a text in as many messages as it takes. It is shown as it is: what
// a bot writes as Markdown is rarely what Telegram calls so, and Telegram
// refuses a text with markup that is not its own.
func sayText(text string) []call {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var calls []call
	for _, part := range texts.Split(text, maxText, texts.UTF16) {
		calls = append(calls, call{"sendMessage", object{"text": part}})
	}
	return calls
}

// sayMedia is a file with a caption; one that is too long follows as a text.
func sayMedia(how sending, where, caption string) []call {
	c := call{how.method, object{how.field: where}}
	if caption == "" {
		return []call{c}
	}
	if how.silent || texts.Length(caption, texts.UTF16) > maxCaption {
		return append([]call{c}, sayText(caption)...)
	}
	c.params["caption"] = caption
	return []call{c}
}

// sayURL sends what is at a URL, as what its ending tells it to be. Telegram
// fetches it by itself, and only takes some kinds of files so; of others it
// sends the link. A file of its own it sends as what it was.
func sayURL(where, caption string, endings map[string]string) []call {
	if kind, fileID, ok := dereference(where); ok {
		return sayMedia(sendings[kind], fileID, caption)
	}
	ending := ""
	if parsed, err := url.Parse(where); err == nil {
		ending = strings.ToLower(path.Ext(parsed.Path))
	}
	if kind, ok := endings[ending]; ok {
		return sayMedia(sendings[kind], where, caption)
	}
	if kind, ok := endings["*"]; ok {
		return sayMedia(sendings[kind], where, caption)
	}
	return sayText(lines(caption, where))
}

func sayImage(m events.Image) []call {
	return sayURL(m.ImageURL, cmp.Or(m.Caption, m.Title), map[string]string{".gif": kindAnimation, "*": kindPhoto})
}

func sayAudio(m events.Audio) []call {
	return sayURL(m.AudioURL, m.Title, map[string]string{
		"": kindAudio, ".mp3": kindAudio, ".m4a": kindAudio, ".ogg": kindVoice, ".oga": kindVoice, ".opus": kindVoice,
	})
}

func sayVideo(m events.Video) []call {
	return sayURL(m.VideoURL, m.Title, map[string]string{"": kindVideo, ".mp4": kindVideo, ".gif": kindAnimation})
}

func sayFile(m events.File) []call {
	return sayURL(m.FileURL, m.Title, map[string]string{".pdf": kindDocument, ".zip": kindDocument, ".gif": kindDocument})
}

func sayLocation(m events.Location) []call {
	c := call{"sendLocation", object{"latitude": m.Latitude, "longitude": m.Longitude}}
	if title := cmp.Or(m.Title, m.Address); title != "" {
		c.method, c.params["title"], c.params["address"] = "sendVenue", title, cmp.Or(m.Address, m.Title)
	}
	return []call{c}
}

// sayCard is the card's picture with its text, or the text alone, with the
// buttons below.
func sayCard(m events.Card) []call {
	keyboard, rest := buttons(m.Actions)
	text := lines(append([]string{m.Title, m.Subtitle}, rest...)...)
	if keyboard != nil && text == "" && m.ImageURL == "" {
		text = "…"
	}
	calls := sayText(text)
	if m.ImageURL != "" {
		calls = sayImage(events.Image{ImageURL: m.ImageURL, Title: text})
	}
	return below(calls, keyboard)
}

func sayCarousel(m events.Carousel) []call {
	var calls []call
	for _, card := range m.Items {
		calls = append(calls, sayCard(card)...)
	}
	return calls
}

// ask is a question with buttons, or with a numbered list when there are too
// many for buttons, or some hold too much.
func ask(text string, options []events.Option) []call {
	actions := make([]events.CardAction, len(options))
	numbered := make([]string, len(options))
	for i, option := range options {
		actions[i] = events.CardAction{Action: "say", Label: option.Label, Value: option.Value}
		numbered[i] = strconv.Itoa(i+1) + ". " + cmp.Or(option.Label, option.Value)
	}
	keyboard, rest := buttons(actions)
	if len(rest) > 0 {
		return sayText(lines(text, strings.Join(numbered, "\n")))
	}
	if strings.TrimSpace(text) == "" {
		text = strings.Join(numbered, "\n")
	}
	return below(sayText(text), keyboard)
}

// sayBloc is all that the bloc's items are, in order.
func sayBloc(m events.Bloc) ([]call, error) {
	var calls []call
	for i, one := range m.Items {
		known, ok := types[one.Type]
		if !ok {
			return nil, fmt.Errorf("item %d of the bloc: there is no message type %q", i+1, one.Type)
		}
		said, err := known.item(one.Payload)
		if err != nil {
			return nil, fmt.Errorf("item %d of the bloc is no %s: %w", i+1, one.Type, err)
		}
		calls = append(calls, said...)
	}
	return calls, nil
}
