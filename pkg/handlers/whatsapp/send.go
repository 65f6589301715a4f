package whatsapp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// How long texts may be. Meta does not say how it counts: UTF-16 units are the
// strictest way.
const (
	maxText    = 4096
	maxCaption = 1024
)

// outgoing are the messages that can be sent. What WhatsApp has no form for
// becomes texts.
var outgoing = handlers.Messages[Config]{
	"text":     sending(text),
	"markdown": sending(markdown),
	"image":    sending(image),
	"audio":    sending(audio),
	"video":    sending(video),
	"file":     sending(file),
	"location": sending(location),
	"card":     sending(card),
	"carousel": sending(carousel),
	"choice":   sending(choice),
	"dropdown": sending(dropdown),
	"bloc":     sending(bloc),
	"reaction": sending(reaction),
	"template": sending(template),
}

// sending makes a message handler of what turns a payload into WhatsApp's
// messages.
func sending[M any](build func(M) ([]outbound, error)) handlers.Message[Config] {
	return handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[Config, M]) error {
		parts, err := build(p.Payload)
		if err != nil {
			return err
		}
		return deliver(ctx, p, parts)
	})
}

// impossible is for a message that WhatsApp would refuse.
func impossible(format string, args ...any) error {
	return handlers.Permanent(handlers.NewRuntimeError(fmt.Sprintf(format, args...), nil))
}

// says is a text in as many messages as it takes.
func says(text string) []outbound {
	var parts []outbound
	for _, part := range texts.Split(text, maxText, texts.UTF16) {
		if strings.TrimSpace(part) != "" {
			linked := strings.Contains(part, "https://") || strings.Contains(part, "http://")
			parts = append(parts, outbound{Type: "text", Text: &outText{Body: part, PreviewURL: linked}})
		}
	}
	return parts
}

func text(m events.Text) ([]outbound, error) { return says(m.Text), nil }

func markdown(m events.Markdown) ([]outbound, error) { return says(formatted(m.Markdown)), nil }

// The payloads of package events, with the id of a medium that WhatsApp has
// already, such as that of an incoming message, which goes before the URL.
type (
	imagePayload struct {
		ImageURL string `json:"imageUrl,omitempty"`
		MediaID  string `json:"mediaId,omitempty"`
		Title    string `json:"title,omitempty"`
		Caption  string `json:"caption,omitempty"`
	}
	audioPayload struct {
		AudioURL string `json:"audioUrl,omitempty"`
		MediaID  string `json:"mediaId,omitempty"`
		Title    string `json:"title,omitempty"`
	}
	videoPayload struct {
		VideoURL string `json:"videoUrl,omitempty"`
		MediaID  string `json:"mediaId,omitempty"`
		Title    string `json:"title,omitempty"`
	}
	filePayload struct {
		FileURL  string `json:"fileUrl,omitempty"`
		MediaID  string `json:"mediaId,omitempty"`
		Title    string `json:"title,omitempty"`
		Filename string `json:"filename,omitempty"`
	}
)

func image(m imagePayload) ([]outbound, error) {
	return captioned("image", m.MediaID, m.ImageURL, cmp.Or(m.Caption, m.Title), "")
}

func video(m videoPayload) ([]outbound, error) {
	return captioned("video", m.MediaID, m.VideoURL, m.Title, "")
}

func file(m filePayload) ([]outbound, error) {
	name := m.Filename
	if name == "" && m.MediaID == "" {
		name = fileName(m.FileURL)
	}
	return captioned("document", m.MediaID, m.FileURL, m.Title, name)
}

// audio has no caption in WhatsApp, so that its title goes before it.
func audio(m audioPayload) ([]outbound, error) {
	one, err := captioned("audio", m.MediaID, m.AudioURL, "", "")
	return append(says(m.Title), one...), err
}

// captioned is a medium by id or link. A caption that is too long follows as
// text.
func captioned(typ, id, link, caption, name string) ([]outbound, error) {
	address, err := url.Parse(link)
	if id == "" && (err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http") {
		return nil, impossible("%s: %.100q is no URL that WhatsApp could get it from, and mediaId is not given", typ, link)
	}
	m := &outMedia{ID: id, Filename: name}
	if id == "" {
		m.Link = link
	}
	var rest []outbound
	if texts.Length(caption, texts.UTF16) <= maxCaption {
		m.Caption = strings.TrimSpace(caption)
	} else {
		rest = says(caption)
	}
	one := outbound{Type: typ}
	switch typ {
	case "image":
		one.Image = m
	case "audio":
		one.Audio = m
	case "video":
		one.Video = m
	default:
		one.Document = m
	}
	return append([]outbound{one}, rest...), nil
}

// fileName is the last part of a URL's path, if it looks like the name of a file.
func fileName(link string) string {
	address, err := url.Parse(link)
	if err != nil {
		return ""
	}
	if name := path.Base(address.Path); strings.Contains(name, ".") && len(name) <= 200 {
		return name
	}
	return ""
}

func location(m events.Location) ([]outbound, error) {
	if m.Latitude < -90 || m.Latitude > 90 || m.Longitude < -180 || m.Longitude > 180 {
		return nil, impossible("location: %v, %v is no place on earth", m.Latitude, m.Longitude)
	}
	return []outbound{{Type: "location", Location: &outLocation{
		Latitude: m.Latitude, Longitude: m.Longitude, Name: m.Title, Address: m.Address,
	}}}, nil
}

func reaction(m Reaction) ([]outbound, error) {
	if m.MessageID == "" {
		return nil, impossible("reaction: messageId is missing, WhatsApp's id of the message")
	}
	return []outbound{{Type: "reaction", Reaction: &outReaction{m.MessageID, m.Emoji}}}, nil
}

// bloc is several messages; a bloc in a bloc is none of them.
func bloc(m events.Bloc) ([]outbound, error) {
	var all []outbound
	for i, item := range m.Items {
		parts, err := blocItem(item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		all = append(all, parts...)
	}
	return all, nil
}

func blocItem(item events.BlocItem) ([]outbound, error) {
	switch item.Type {
	case "text":
		return as(item, text)
	case "markdown":
		return as(item, markdown)
	case "image":
		return as(item, image)
	case "audio":
		return as(item, audio)
	case "video":
		return as(item, video)
	case "file":
		return as(item, file)
	case "location":
		return as(item, location)
	case "card":
		return as(item, card)
	case "carousel":
		return as(item, carousel)
	case "choice":
		return as(item, choice)
	case "dropdown":
		return as(item, dropdown)
	}
	return nil, impossible("bloc: an item of type %.40q cannot be sent in one", item.Type)
}

func as[M any](item events.BlocItem, build func(M) ([]outbound, error)) ([]outbound, error) {
	var payload M
	if err := json.Unmarshal(item.Payload, &payload); err != nil {
		return nil, impossible("bloc: the payload is no %s message: %v", item.Type, err)
	}
	return build(payload)
}
